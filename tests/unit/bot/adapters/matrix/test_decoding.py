"""What an event of Matrix means, from its JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nio import MatrixRoom

from bot.adapters.matrix.decoding import LABEL, Moment, Redaction, arrives, decode, label_in, replaces
from bot.adapters.matrix.rooms import View
from bot.models import (
    Arrival,
    Deletion,
    Edit,
    Gap,
    IncomingMessage,
    Membership,
    Place,
    ReactionAdded,
    ReactionRemoved,
    ReactionsStanding,
    Role,
)
from memory.models import Provenance

ME, ANA = "@weave:example.org", "@ana:example.org"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MOMENT = Moment(NOW, Provenance.LIVE)
PLACE = Place("matrix", "!room", "hives", ME)


def view() -> View:
    return View(ME, PLACE, MatrixRoom("!room", ME), frozenset(), {ANA: "Ana"})


def event(kind: str, content: object, **more: Any) -> dict[str, Any]:
    at = int((NOW - timedelta(minutes=1)).timestamp() * 1000)
    return {"event_id": "$1", "sender": ANA, "type": kind, "origin_server_ts": at, "content": content, **more}


def text(body: str, **more: Any) -> dict[str, Any]:
    return event("m.room.message", {"msgtype": "m.text", "body": body, **more})


class TestMessages:
    def test_a_text_is_what_was_said_by_whom_and_when(self) -> None:
        seen = decode(text("The smoker is in the shed."), view(), MOMENT)
        assert isinstance(seen, IncomingMessage)
        assert (seen.text, seen.actor.external_id, seen.actor.name) == ("The smoker is in the shed.", ANA, "Ana")
        assert (seen.place, seen.sent_at, seen.reply_to, seen.thread) == (PLACE, NOW - timedelta(minutes=1), None, None)

    def test_an_action_is_a_text(self) -> None:
        seen = decode(event("m.room.message", {"msgtype": "m.emote", "body": "waves"}), view(), MOMENT)
        assert isinstance(seen, IncomingMessage)

    @pytest.mark.parametrize("kind", ["m.notice", "m.location", "org.example.poll"])
    def test_notices_and_strange_kinds_say_nothing(self, kind: str) -> None:
        assert decode(event("m.room.message", {"msgtype": kind, "body": "!weave hello"}), view(), MOMENT) is None

    def test_a_picture_says_what_stands_below_it(self) -> None:
        picture = {"msgtype": "m.image", "body": "The new hive", "filename": "hive.jpg", "url": "mxc://x/y"}
        seen = decode(event("m.room.message", picture), view(), MOMENT)
        assert isinstance(seen, IncomingMessage)
        assert seen.text == "The new hive"

    @pytest.mark.parametrize("name", [{}, {"filename": "hive.jpg"}])
    def test_a_picture_without_words_says_nothing(self, name: dict[str, str]) -> None:
        picture = {"msgtype": "m.image", "body": "hive.jpg", "url": "mxc://x/y", **name}
        assert decode(event("m.room.message", picture), view(), MOMENT) is None

    def test_a_reply_is_read_without_what_it_quotes(self) -> None:
        relation = {"m.in_reply_to": {"event_id": "$0"}}
        body = "> <@ben:example.org> Where is it?\n> I need it.\n\nIn the shed."
        seen = decode(text(body, **{"m.relates_to": relation}), view(), MOMENT)
        assert isinstance(seen, IncomingMessage)
        assert (seen.text, seen.reply_to) == ("In the shed.", "$0")

    def test_a_quote_in_a_message_that_replies_to_nothing_stays(self) -> None:
        seen = decode(text("> said Ben\n\nIndeed."), view(), MOMENT)
        assert isinstance(seen, IncomingMessage)
        assert seen.text == "> said Ben\n\nIndeed."

    def test_in_a_thread_the_stand_in_for_old_clients_is_no_reply(self) -> None:
        relation = {
            "rel_type": "m.thread",
            "event_id": "$root",
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": "$0"},
        }
        seen = decode(text("In the shed.", **{"m.relates_to": relation}), view(), MOMENT)
        assert isinstance(seen, IncomingMessage)
        assert (seen.thread, seen.reply_to) == ("$root", None)

    def test_our_own_words_are_not_heard(self) -> None:
        assert decode({**text("hello"), "sender": ME}, view(), MOMENT) is None

    def test_a_time_in_the_future_is_now(self) -> None:
        later = {**text("hello"), "origin_server_ts": 99_999_999_999_999_999}
        seen = decode(later, view(), MOMENT)
        assert isinstance(seen, IncomingMessage)
        assert seen.sent_at == NOW


class TestEdits:
    def edit(self, **new: object) -> dict[str, Any]:
        fresh = {"msgtype": "m.text", "body": "!weave where is the smoker?", **new}
        relation = {"rel_type": "m.replace", "event_id": "$0"}
        return text("* !weave where?", **{"m.new_content": fresh, "m.relates_to": relation})

    def test_hold_the_new_text_and_what_it_changes(self) -> None:
        seen = decode(self.edit(), view(), MOMENT)
        assert isinstance(seen, Edit)
        assert (seen.target, seen.text) == ("$0", "!weave where is the smoker?")
        assert replaces(self.edit()) == "$0"

    def test_without_a_new_text_are_nothing_rather_than_a_message(self) -> None:
        relation = {"rel_type": "m.replace", "event_id": "$0"}
        assert decode(text("* !weave where?", **{"m.relates_to": relation}), view(), MOMENT) is None

    def test_of_a_notice_are_none_of_our_business(self) -> None:
        assert decode(self.edit(msgtype="m.notice"), view(), MOMENT) is None


class TestReactions:
    def test_name_what_and_whose(self) -> None:
        relation = {"rel_type": "m.annotation", "event_id": "$0", "key": "👍🏽"}
        seen = decode(event("m.reaction", {"m.relates_to": relation}), view(), MOMENT)
        assert isinstance(seen, ReactionAdded)
        assert (seen.event_id, seen.target, seen.emoji) == ("$1", "$0", "👍🏽")

    @pytest.mark.parametrize("key", ["👍", "👍\ufe0f", "⭐", "⭐\ufe0f"])
    def test_keep_their_spelling(self, key: str) -> None:
        relation = {"rel_type": "m.annotation", "event_id": "$0", "key": key}
        seen = decode(event("m.reaction", {"m.relates_to": relation}), view(), MOMENT)
        assert isinstance(seen, ReactionAdded)
        assert seen.emoji == key

    def test_redacted_before_we_saw_them_are_removed(self) -> None:
        gone = event("m.reaction", {}, unsigned={"redacted_because": {"event_id": "$2"}})
        seen = decode(gone, view(), MOMENT)
        assert isinstance(seen, ReactionRemoved)
        assert (seen.event_id, seen.reaction) == ("$2", "$1")


class TestRedactions:
    @pytest.mark.parametrize("form", [{"redacts": "$0"}, {"content": {"redacts": "$0"}}])
    def test_name_their_target_in_both_forms(self, form: dict[str, Any]) -> None:
        seen = decode({**event("m.room.redaction", {}), **form}, view(), MOMENT)
        assert isinstance(seen, Redaction)
        assert (seen.event_id, seen.target) == ("$1", "$0")

    @pytest.mark.parametrize("kind", ["m.room.message", "m.room.encrypted"])
    def test_a_message_that_comes_redacted_is_a_deletion(self, kind: str) -> None:
        seen = decode(event(kind, {}, unsigned={"redacted_because": {"event_id": "$2"}}), view(), MOMENT)
        assert isinstance(seen, Deletion)
        assert (seen.event_id, seen.target) == ("$2", "$1")

    def test_an_answer_of_ours_that_a_moderator_took_away_too(self) -> None:
        gone = event("m.room.message", {}, sender=ME, unsigned={"redacted_because": {"event_id": "$2"}})
        assert isinstance(decode(gone, view(), MOMENT), Deletion)

    def test_state_that_was_redacted_is_not_ours(self) -> None:
        assert decode(event("m.room.topic", {}, unsigned={"redacted_because": {}}), view(), MOMENT) is None


def member(who: str, now: str, before: str | None, **more: Any) -> dict[str, Any]:
    unsigned = {"prev_content": {"membership": before}} if before else {}
    return event("m.room.member", {"membership": now}, state_key=who, unsigned={**unsigned, **more})


class TestMembers:
    def test_come_and_go(self) -> None:
        came = decode(member(ANA, "join", "invite"), view(), MOMENT)
        left = decode(member(ANA, "ban", "join"), view(), MOMENT)
        assert isinstance(came, Membership)
        assert isinstance(left, Membership)
        assert (came.joined, left.joined) == (True, False)

    @pytest.mark.parametrize(("now", "before"), [("join", "join"), ("invite", None), ("leave", "invite")])
    def test_a_new_name_or_an_invitation_is_neither(self, now: str, before: str | None) -> None:
        assert decode(member(ANA, now, before), view(), MOMENT) is None

    def test_we_come_by_an_invitation(self) -> None:
        source = {**member(ME, "join", "invite", prev_sender=ANA), "sender": ME}
        seen = decode(source, view(), MOMENT)
        assert isinstance(seen, Arrival)
        assert seen.by is not None
        assert (seen.joined, seen.by.external_id) == (True, ANA)
        assert arrives(source, ME)
        assert not arrives(member(ME, "join", "join"), ME)

    def test_we_are_kicked(self) -> None:
        seen = decode(member(ME, "leave", "join"), view(), MOMENT)
        assert isinstance(seen, Arrival)
        assert seen.by is not None
        assert (seen.joined, seen.by.external_id) == (False, ANA)


class TestOurLabel:
    def test_of_the_newest_text_wins(self) -> None:
        old, new = ({LABEL: {"answer_id": name}} for name in ("old", "new"))
        assert label_in({"content": {**old, "m.new_content": new}}) == "new"
        assert label_in({"content": old}) == "old"
        assert label_in({"content": {LABEL: "no object"}}) is None
        assert label_in({}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class TestHostileEvents:
    @given(
        kind=st.sampled_from(["m.room.message", "m.reaction", "m.room.redaction", "m.room.member"]),
        content=JSON
        | st.fixed_dictionaries(
            {"msgtype": st.just("m.text"), "body": JSON, "m.relates_to": JSON, "m.new_content": JSON}
        ),
        unsigned=JSON,
        at=JSON,
    )
    def test_are_dropped_without_harm(self, kind: str, content: object, unsigned: object, at: object) -> None:
        source = event(kind, content, unsigned=unsigned, origin_server_ts=at, state_key=ANA, redacts=at)
        seen = decode(source, view(), MOMENT)
        assert seen is None or not isinstance(seen, ReactionsStanding | Gap)
        label_in(source)
        replaces(source)
        arrives(source, ME)

    def test_without_an_id_or_a_sender_are_nothing(self) -> None:
        assert decode({"type": "m.room.message"}, view(), MOMENT) is None
        assert view().role("@nobody:example.org") is Role.MEMBER
