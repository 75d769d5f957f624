"""The Cypher that Weavebot speaks. Every value is a parameter; writes come in batches by UNWIND, reads are bounded.

::

    (:WeaveRoom {key, scope, version})            one a room: which generation is current, and how far it has come
    (:WeaveGeneration {scope, room, number, messages})
    (:Entity {scope, key, kind, label?})          a person, a day, a name, a topic, ...; its key is a pseudonym
    (:Session {scope, key})
    (:Message {scope, serial, at, place, author, session?, reply?})
    (:Entity)-[:WROTE]->(:Message)-[:MENTIONS|ABOUT|ON]->(:Entity)
    (:Message)-[:IN_SESSION]->(:Session), (:Message)-[:REPLIES_TO|FOLLOWS]->(:Message)

A ``scope`` is installation/room/generation; every node that is looked up is looked up by it, so rooms cannot touch.
``at`` is in microseconds since 1970, ``place`` orders the messages of a session. Relationships carry ``valid_from``
(when the message was sent) and ``observed_at`` (when it came here); ``valid_to`` and ``expired_at`` are absent while a
tie holds, and no tie is kept that does not: what is edited or erased leaves nothing.
"""

from __future__ import annotations

from typing import Final

SCHEMA: Final = {
    "weavebot_room": "CREATE CONSTRAINT weavebot_room IF NOT EXISTS FOR (n:WeaveRoom) REQUIRE n.key IS UNIQUE",
    "weavebot_generation": (
        "CREATE CONSTRAINT weavebot_generation IF NOT EXISTS FOR (n:WeaveGeneration) REQUIRE n.scope IS UNIQUE"
    ),
    "weavebot_message": (
        "CREATE CONSTRAINT weavebot_message IF NOT EXISTS FOR (n:Message) REQUIRE (n.scope, n.serial) IS UNIQUE"
    ),
    "weavebot_entity": (
        "CREATE CONSTRAINT weavebot_entity IF NOT EXISTS FOR (n:Entity) REQUIRE (n.scope, n.key) IS UNIQUE"
    ),
    "weavebot_session": (
        "CREATE CONSTRAINT weavebot_session IF NOT EXISTS FOR (n:Session) REQUIRE (n.scope, n.key) IS UNIQUE"
    ),
    "weavebot_place": "CREATE INDEX weavebot_place IF NOT EXISTS FOR (n:Message) ON (n.scope, n.session, n.place)",
    "weavebot_reply": "CREATE INDEX weavebot_reply IF NOT EXISTS FOR (n:Message) ON (n.scope, n.reply)",
    "weavebot_generations": "CREATE INDEX weavebot_generations IF NOT EXISTS FOR (n:WeaveGeneration) ON (n.room)",
}
"""Constraints and indexes by name, made when the server is first spoken to."""

SCHEMA_NAMES: Final = """
SHOW INDEXES YIELD name, state WHERE name STARTS WITH 'weavebot_' AND state = 'ONLINE' RETURN collect(name) AS names
"""
SERVER: Final = "CALL dbms.components() YIELD versions RETURN versions[0] AS version"

# -- rooms and generations --------------------------------------------------------------------------------------------

HOLD: Final = """
OPTIONAL MATCH (g:WeaveGeneration {room: $room})
WITH coalesce(max(g.number), 0) + 1 AS number
MERGE (r:WeaveRoom {key: $room}) ON CREATE SET r.scope = $room + '/' + number, r.version = 0
SET r.writes = coalesce(r.writes, timestamp()) + 1
WITH r, number
MERGE (g:WeaveGeneration {scope: r.scope}) ON CREATE SET g.room = $room, g.number = number, g.messages = 0
RETURN r.scope AS scope, r.version AS version
"""
"""Takes the room for the rest of the transaction (a write lock on its node), makes it when new. ``writes`` counts the
transactions: while it stands, what was read of the room is true. It begins at the time, so that a room that was dropped
and came again does not count over what it had counted before."""

REACHED: Final = "MATCH (r:WeaveRoom {key: $room}) RETURN r.version AS version"
REACH: Final = """
MATCH (r:WeaveRoom {key: $room})
SET r.version = CASE WHEN r.version < $version THEN $version ELSE r.version END
RETURN r.version AS version
"""
NUMBERS: Final = "MATCH (g:WeaveGeneration {room: $room}) RETURN coalesce(max(g.number), 0) AS number"
BEGIN: Final = "MERGE (g:WeaveGeneration {scope: $scope}) SET g.room = $room, g.number = $number, g.messages = 0"
SWITCH: Final = "MERGE (r:WeaveRoom {key: $room}) SET r.scope = $scope, r.version = $version"
SCOPES: Final = "MATCH (g:WeaveGeneration {room: $room}) RETURN collect(g.scope) AS scopes"
STALE: Final = """
MATCH (g:WeaveGeneration {room: $room})
WHERE NOT EXISTS { MATCH (r:WeaveRoom {key: $room}) WHERE r.scope = g.scope }
RETURN collect(g.scope) AS scopes
"""
FORGET: Final = "MATCH (r:WeaveRoom {key: $room}) DELETE r"
EMPTY: Final = tuple(
    f"MATCH (n:{label}) WHERE n.scope = $scope AND n.{key} IS NOT NULL WITH n LIMIT $most DETACH DELETE n "
    "RETURN count(*) AS gone"
    for label, key in (("Message", "serial"), ("Entity", "key"), ("Session", "key"))
)
"""Each takes some nodes of a generation away; to be repeated until none is left."""
CLOSE: Final = "MATCH (g:WeaveGeneration {scope: $scope}) DELETE g"
COUNT: Final = "MATCH (g:WeaveGeneration {scope: $scope}) SET g.messages = g.messages + $more"
SUM: Final = """
MATCH (r:WeaveRoom {key: $room})
OPTIONAL MATCH (m:Message) WHERE m.scope = r.scope AND m.serial IS NOT NULL
RETURN r.version AS version, count(m) AS messages,
  coalesce(sum(COUNT { (m)<-[:WROTE]-() } + COUNT { (m)-[:MENTIONS]->() } + COUNT { (m)-[:ABOUT]->() }), 0) AS ties,
  coalesce(sum(m.serial * 31 + (m.at / 1000000) % 1000003), 0) AS checksum
"""
ROOMS: Final = "MATCH (r:WeaveRoom) WHERE r.key STARTS WITH $installation RETURN collect(r.key) AS keys"

# -- writing ----------------------------------------------------------------------------------------------------------

THERE: Final = """
UNWIND $serials AS serial MATCH (m:Message {scope: $scope, serial: serial})
OPTIONAL MATCH (next:Message)-[:FOLLOWS]->(m)
RETURN collect(DISTINCT m.serial) AS there, collect(DISTINCT next.serial) AS next
"""
TOUCHED: Final = """
UNWIND $serials AS serial MATCH (m:Message {scope: $scope, serial: serial})--(n)
WHERE n:Entity OR n:Session
RETURN collect(DISTINCT n.key) AS keys
"""
UNTIE: Final = """
UNWIND $serials AS serial MATCH (m:Message {scope: $scope, serial: serial})-[t]-(n)
WHERE n:Entity OR n:Session OR startNode(t) = m
DELETE t
"""
MESSAGES: Final = """
UNWIND $rows AS row MERGE (m:Message {scope: $scope, serial: row.serial})
SET m.at = row.at, m.place = row.place, m.author = row.author, m.session = row.session, m.reply = row.reply
"""
ENTITIES: Final = """
UNWIND $rows AS row MERGE (n:Entity {scope: $scope, key: row.key})
ON CREATE SET n.kind = row.kind
SET n.label = row.label
"""
SESSIONS: Final = "UNWIND $keys AS key MERGE (:Session {scope: $scope, key: key})"

_TIMES: Final = """{valid_from: datetime({epochMillis: m.at / 1000}), observed_at: $now}"""
_TIE: Final = """
UNWIND $rows AS row
MATCH (m:Message {{scope: $scope, serial: row[0]}}) MATCH (n:{label} {{scope: $scope, key: row[1]}})
CREATE {tie}
"""
TIES: Final = {
    "WROTE": _TIE.format(label="Entity", tie=f"(n)-[:WROTE {_TIMES}]->(m)"),
    "MENTIONS": _TIE.format(label="Entity", tie=f"(m)-[:MENTIONS {_TIMES}]->(n)"),
    "ABOUT": _TIE.format(label="Entity", tie=f"(m)-[:ABOUT {_TIMES}]->(n)"),
    "ON": _TIE.format(label="Entity", tie=f"(m)-[:ON {_TIMES}]->(n)"),
    "IN_SESSION": _TIE.format(label="Session", tie=f"(m)-[:IN_SESSION {_TIMES}]->(n)"),
}
"""By relation: rows are pairs of a serial and a key."""

_REPLY: Final = f"""
MERGE (m)-[t:REPLIES_TO]->(parent) ON CREATE SET t += {_TIMES}
"""
REPLIES: Final = (
    "UNWIND $serials AS serial MATCH (m:Message {scope: $scope, serial: serial}) WHERE m.reply IS NOT NULL "
    "MATCH (parent:Message {scope: $scope, serial: m.reply})" + _REPLY,
    "UNWIND $serials AS serial MATCH (m:Message {scope: $scope, reply: serial}) "
    "MATCH (parent:Message {scope: $scope, serial: serial})" + _REPLY,
)
"""To what the messages reply to, and from what replies to them."""
UNREPLY: Final = "UNWIND $serials AS serial MATCH (m:Message {scope: $scope, reply: serial}) REMOVE m.reply"

NEXT: Final = """
UNWIND $serials AS serial MATCH (m:Message {scope: $scope, serial: serial}) WHERE m.session IS NOT NULL
CALL (m) {
  MATCH (next:Message) WHERE next.scope = $scope AND next.session = m.session AND next.place > m.place
  RETURN next ORDER BY next.scope, next.session, next.place LIMIT 1
}
RETURN collect(DISTINCT next.serial) AS next
"""
CHAIN: Final = f"""
UNWIND $serials AS serial MATCH (m:Message {{scope: $scope, serial: serial}})
OPTIONAL MATCH (m)-[old:FOLLOWS]->()
DELETE old
WITH DISTINCT m WHERE m.session IS NOT NULL
CALL (m) {{
  MATCH (before:Message) WHERE before.scope = $scope AND before.session = m.session AND before.place < m.place
  RETURN before ORDER BY before.scope DESC, before.session DESC, before.place DESC LIMIT 1
}}
CREATE (m)-[:FOLLOWS {_TIMES}]->(before)
"""
"""Ties each message to the one before it in its session, and to no other.

Ordered by all that the index is ordered by, though but one differs: else the server sorts the whole session each time.
"""
REMOVE: Final = "UNWIND $serials AS serial MATCH (m:Message {scope: $scope, serial: serial}) DETACH DELETE m"
TIDY: Final = (
    "UNWIND $keys AS key MATCH (n:Entity {scope: $scope, key: key}) WHERE NOT (n)--() DELETE n",
    "UNWIND $keys AS key MATCH (n:Session {scope: $scope, key: key}) WHERE NOT (n)--() DELETE n",
)
"""Takes away what nothing is tied to any more, with its label. What is still named keeps its label, as in SQL."""

# -- reading ----------------------------------------------------------------------------------------------------------

KNOWN: Final = """
MATCH (r:WeaveRoom {key: $room})
UNWIND $keys AS key MATCH (n:Entity {scope: r.scope, key: key})
CALL (n) { MATCH (n)--(m:Message) RETURN count(DISTINCT m) AS messages }
RETURN key, messages
"""
LOOK: Final = """
MATCH (r:WeaveRoom {key: $room}) MATCH (g:WeaveGeneration {scope: r.scope})
WITH r.scope AS scope, r.writes AS writes, g.messages AS messages
CALL (scope) {
  UNWIND $keys AS key MATCH (n:Entity {scope: scope, key: key})
  RETURN collect([n.key, COUNT { (n)--() }]) AS starts
}
CALL (scope, messages) {
  WITH * WHERE messages > $most
  UNWIND $serials AS serial
  MATCH (:Message {scope: scope, serial: serial})-[:WROTE|MENTIONS|ABOUT|IN_SESSION]-(n)
  WHERE n:Entity OR $sessions
  WITH DISTINCT n
  RETURN collect([n.key, COUNT { (n)--() }]) AS shared
}
RETURN scope, writes, messages, starts, shared
"""
"""How large the room is, the question's entities, and what the messages are tied to, each with its number of ties."""

_ROWS: Final = """
collect([m.serial, m.at, m.session, m.reply, m.author,
  [(m)-[:MENTIONS]->(n) | n.key], [(m)-[:ABOUT]->(n) | n.key],
  [(m)-[:FOLLOWS]->(before) | before.serial], COUNT { (m)<-[:FOLLOWS]-() },
  EXISTS { (m)-[:REPLIES_TO]->() }, COUNT { (m)<-[:REPLIES_TO]-() }]) AS rows
"""
WHOLE: Final = f"""
MATCH (m:Message) WHERE m.scope = $scope AND m.serial IS NOT NULL
RETURN {_ROWS}, [] AS nodes
"""
AROUND: Final = f"""
CALL () {{
  UNWIND $serials AS serial MATCH (m:Message {{scope: $scope, serial: serial}}) RETURN m
  UNION UNWIND $serials AS serial
    MATCH (:Message {{scope: $scope, serial: serial}})-[:REPLIES_TO|FOLLOWS]-(m:Message) RETURN m
  UNION UNWIND $keys AS key MATCH (:Entity {{scope: $scope, key: key}})--(m:Message) RETURN m
  UNION UNWIND $sessions AS key MATCH (:Session {{scope: $scope, key: key}})--(m:Message) RETURN m
  UNION UNWIND $busy AS key MATCH (n:Entity {{scope: $scope, key: key}})
    CALL (n) {{ MATCH (n)--(m:Message) RETURN m LIMIT $fan }} RETURN m
}}
WITH DISTINCT m LIMIT $most
WITH collect(m) AS found
CALL (found) {{ UNWIND found AS m RETURN {_ROWS} }}
CALL (found) {{
  UNWIND found AS m MATCH (m)-[:WROTE|MENTIONS|ABOUT|ON|IN_SESSION]-(n) WITH DISTINCT n
  RETURN collect([n.key, COUNT {{ (n)-[:WROTE]->() }}, COUNT {{ (n)<-[:MENTIONS]-() }},
    COUNT {{ (n)<-[:ABOUT]-() }}, COUNT {{ (n)<-[:ON]-() }}, COUNT {{ (n)<-[:IN_SESSION]-() }}]) AS nodes
}}
RETURN rows, nodes
"""
"""Three hops: messages, what they are tied to, the messages tied to that, and the ties of those.

Of a busy entity the first that the server finds, which are those that came last; to sort ten thousand took it 100 ms.
"""
