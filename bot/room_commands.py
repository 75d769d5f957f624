"""What the commands of a room do, and the table of them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from bot import dates, knowing
from bot.asking import weave
from bot.commands import CLOSE, Argument, Call, Command, CommandTable, Said, identifier, one_of, statement, word_of
from bot.models import Attachment, Role
from bot.pages import CODE, FAINT, STRONG, Line, count, line, page
from bot.permissions import require
from bot.policies import in_force_page, promoted
from bot.preferences import CHECKS, Preferences
from bot.render import View, answer_page, facts, hint_line, source_line, typed
from bot.reports import digest_page, stats_page
from bot.room_messages import message_named, newest_of
from memory.errors import Ambiguous, NotFound
from memory.models import Draft, Room, Scope
from routing.models import Answer
from routing.policies.named import POLICIES

_IN: Final = re.compile(r"(?<!\S)in:(#?\S*[^\s?!.,;])")
_BY: Final = re.compile(r"(?<!\S)route:(\w[\w-]*)")
REACT: Final = "React `👍` `👎` or `⭐` - it trains the routing in this room. `{prefix} why` explains."


async def answer(call: Call, question: str) -> Said:
    """An answer from the room's memory, or from that of ``in:#another``; the same event gets the same answer again.

    ``route:NAME`` takes that route. Raises NotFound for one that there is not, naming those that there are.
    Raises Refused when the person has asked too much. What another room knows is for the asker alone: not everybody
    here may read that room.
    """
    by = _BY.search(question)
    await call.app.limits.admit(call.person)
    words, elsewhere = await _elsewhere(call, _BY.sub("", question).strip())
    made = await weave(
        call.app,
        call.room,
        words,
        asker=call.person,
        thread=call.message.thread,
        event_id=call.message.event_id,
        route=by and by[1],
        places=elsewhere,
    )
    return Said(answer_page(made, await view_of(call)), shows=made, private=bool(elsewhere))


async def _elsewhere(call: Call, question: str) -> tuple[str, tuple[Room, ...]]:
    """The question without its ``in:#room`` words, and those rooms. Raises NotFound unless the asker may read them."""
    names = list(dict.fromkeys(name.lstrip("#") for name in _IN.findall(question)))
    if not names:
        return question, ()
    known = await call.app.directory.rooms(call.room.tenant)
    return _IN.sub("", question).strip(), tuple([await _readable(call, name, known) for name in names])


async def _readable(call: Call, name: str, known: Sequence[Room]) -> Room:
    """That a room exists is told only to who can read it."""
    called = [room for room in known if name == room.external_id or room.name.casefold().lstrip("#") == name.casefold()]
    fitting = [room for room in called if await call.port.may_read(room.external_id, call.actor.external_id)]
    if not fitting:
        raise NotFound(
            f"There is no room {name} that both of us are in; write its name as your app shows it, or its id."
        )
    if len(fitting) > 1:
        ids = ", ".join(room.external_id for room in fitting)
        raise Ambiguous(f"Several rooms are called {name}: use one of the ids {ids}.")
    return fitting[0]


async def _all_readable(call: Call, rooms: Collection[int]) -> bool:
    """Whether whoever asks may read these rooms."""
    known = await call.app.directory.rooms(call.room.tenant) if rooms else []
    found = [room.external_id for room in known if room.id in rooms]
    allowed = [await call.port.may_read(one, call.actor.external_id) for one in found]
    return len(found) == len(rooms) and all(allowed)


async def view_of(call: Call) -> View:
    """The eyes of the room."""
    prefix = call.app.settings.prefix
    wanted = await call.app.preferences.of(call.room)
    hint = (call.capabilities.hint or REACT).format(prefix=prefix)
    buttons = call.capabilities.buttons
    return View(call.app.clock.now(), wanted.zone, prefix, hint, wanted.language, buttons=buttons)


async def help_(call: Call) -> Said:
    """All commands, or one with its example."""
    prefix = call.app.settings.prefix
    one = TABLE.commands.get(call.arguments.get("command", ""))
    if one is not None:
        example = f"{prefix} {one.example}"
        return Said(
            page(line((CODE, one.usage(prefix)), f"  {one.words}"), line((FAINT, "for example  "), (CODE, example)))
        )
    rows = [
        (f"{prefix} QUESTION", "asks this room's memory; in:#ROOM another one's, route:NAME by a way of your choice")
    ]
    rows += [(command.usage(prefix), command.words) for command in TABLE.commands.values()]
    return Said((*typed(rows), *call.capabilities.help))


async def why(call: Call) -> Said:
    """Why the last answer, or the one of that number, took its route; and its sources with their ids."""
    chosen = await _answer(call)
    cited = await call.app.engine.read([citation.hit.serial for citation in chosen.citations])
    elsewhere = {message.room for message in cited.values()} - {call.room.id}
    if not await _all_readable(call, elsewhere):
        raise NotFound(f"Answer #{chosen.serial} is from a room that I do not know you to be in.")
    sentences = await call.app.shuttle.why(call.room.tenant, chosen.id)
    view = await view_of(call)
    lines: list[Line] = [line((FAINT, f"#{chosen.serial} "), (STRONG, chosen.question))]
    lines += [line(sentence) for sentence in sentences]
    for number, citation in enumerate(chosen.citations[:5], 1):
        lines.append(line(*source_line(number, citation, view), (FAINT, f"  id {citation.message_id}")))
    return Said(tuple(lines), about=chosen, private=bool(elsewhere))


async def stats(call: Call) -> Said:
    """What is remembered here, and what each route has earned."""
    numbers = await call.app.statistician.stats(Scope(call.room.tenant, (call.room.id,), call.person.id))
    return Said(stats_page(numbers))


async def digest(call: Call) -> Said:
    """The last seven days; or switches the weekly one on or off."""
    switch = call.arguments.get("switch")
    if switch is not None:
        return await _change(call, "digest", switch)
    wanted = await call.app.preferences.of(call.room)
    summary = await call.app.digests.compose(call.room)
    prefix = call.app.settings.prefix
    return Said(digest_page(summary, zone=wanted.zone, prefix=prefix, language=wanted.language))


async def remember(call: Call) -> Said:
    """Keeps a statement as a message of whoever gave it."""
    text = call.arguments.get("text")
    if text is None:
        return _usage(call, "remember")
    message = call.message
    draft = Draft(
        event_id=message.event_id,
        author=call.actor.external_id,
        author_name=call.actor.name,
        text=text,
        sent_at=message.sent_at,
        reply_to=message.reply_to,
        provenance=message.provenance,
    )
    admitted = await call.app.journal.admit(call.room, [draft])
    if admitted.refused:
        return Said(page(hint_line(f"Not kept: you opted out. `{call.app.settings.prefix} optin` changes that.")))
    return Said(page(hint_line(f"Kept. `{call.app.settings.prefix} forget last` takes it back.")))


async def forget(call: Call) -> Said:
    """Erases the last message of whoever asks, one by its id, or everything of theirs."""
    prefix = call.app.settings.prefix
    what = call.arguments.get("what")
    if what is None and call.message.reply_to:
        what = call.message.reply_to
    if what is None:
        return _usage(call, "forget")
    if what == "me":
        return await _forget_me(call)
    erased = await _forget_one(call, what)
    await call.app.audit.record(
        call.room.tenant, "forget_message", by=call.person, room=call.room, detail={"messages": erased}
    )
    return Said(page(hint_line(f"Forgotten everywhere. It does not come back. `{prefix} forget me` forgets you.")))


async def _forget_me(call: Call) -> Said:
    known = await call.app.privacy.know(call.person)
    if call.arguments.get("sure") is None:
        words = f"This erases {count(known['messages'], 'message')}, your questions and your votes, for good."
        return Said(page(words, hint_line(f"If you mean it: `{call.app.settings.prefix} forget me yes`")), private=True)
    erased = await call.app.privacy.forget_person(call.person)
    await call.app.audit.record(call.room.tenant, "forget_person", by=None, detail={"messages": erased})
    return Said(page(f"You are forgotten: {count(erased, 'message')} erased."), private=True)


async def _forget_one(call: Call, what: str) -> int:
    app, room = call.app, call.room
    if what == "last":
        found = await newest_of(app, room, call.person)
    else:
        found = await message_named(app, room, what)
    if found is None:
        raise NotFound(
            "You have written nothing here yet." if what == "last" else f"No message here has the id {what}."
        )
    if found.author != call.person.id:
        require(call.actor, Role.MODERATOR, "forget what others wrote")
    return await app.privacy.forget_message(room.tenant, found.external_id, room)


async def know(call: Call) -> Said:
    """What is kept about whoever asks, in numbers; or what was derived about a person or a thing."""
    what = call.arguments.get("what", "me")
    if what.lower() != "me":
        return await knowing.known(call, what)
    known = await call.app.privacy.know(call.person)
    wanted = await call.app.preferences.of(call.room)
    rows = [(name.replace("_", " "), _shown(value, wanted)) for name, value in known.items() if value not in {None, ""}]
    return Said(facts(rows), private=True)


def _shown(value: Any, wanted: Preferences) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and "T" in value and value.endswith("+00:00"):
        return dates.day(datetime.fromisoformat(value), zone=wanted.zone, language=wanted.language)
    return str(value)


async def export(call: Call) -> Said:
    """Everything that is kept about whoever asks."""
    if not call.capabilities.files:
        known = await call.app.privacy.know(call.person)
        name = call.person.external_id
        command = f'weavebot export --person "{name}" > export.jsonl'
        words = hint_line(f"All of it as a file, from another terminal: `{command}`")
        return Said((line(f"{count(known['messages'], 'message')} of yours kept."), words), private=True)
    items = [json.dumps(item, ensure_ascii=False) async for item in call.app.privacy.export(call.person)]
    attachment = Attachment("export.jsonl", tuple(items))
    return Said(page("Everything that is kept about you."), private=True, attachment=attachment)


async def settings(call: Call) -> Said:
    """Shows the room's settings, or changes one."""
    name, value = call.arguments.get("name"), call.arguments.get("value")
    if name is not None and value is not None:
        return await _change(call, name, value)
    chosen = await call.app.preferences.of(call.room)
    prefix = call.app.settings.prefix
    hint = hint_line(f"`{prefix} settings timezone Europe/Berlin` changes one, `default` takes it back")
    return Said((*facts(chosen.as_mapping().items()), hint))


async def server(call: Call) -> Said:
    """Shows what is in force here, or changes a setting for all rooms of the team."""
    name, value = call.arguments.get("name"), call.arguments.get("value")
    if name is None or value is None:
        return await settings(call)
    require(call.actor, Role.ADMIN, "change settings of all rooms")
    wanted = None if value == "default" else value
    chosen = await call.app.preferences.change_for_team(call.room, name, wanted, call.person)
    detail = {"setting": name, "team": True}
    await call.app.audit.record(call.room.tenant, "change_setting", by=call.person, room=call.room, detail=detail)
    words = "" if value == "default" or chosen.as_mapping()[name].split()[0] == value.split()[0] else " (but not here)"
    return Said(page(line(f"{name} is now ", (STRONG, value), f" in all rooms that have none of their own{words}")))


async def promote(call: Call) -> Said:
    """Says which policy decides; an admin puts another in force, or takes the last promotion back."""
    name = call.arguments.get("policy")
    if name is None:
        return Said(in_force_page(await call.app.policies.in_force(call.room.tenant)))
    require(call.actor, Role.ADMIN, "promote a policy")
    policy = None if name == "back" else name
    asked_at = call.message.sent_at
    _, shown = await promoted(call.app, call.room.tenant, policy, by=call.person, room=call.room, asked_at=asked_at)
    return Said(shown)


async def e2ee(call: Call) -> Said:
    """Whether what is written here can be read by me, and how to mend it."""
    return Said(await call.port.health(call.room.external_id))


async def optout(call: Call) -> Said:
    """From now on nothing of whoever asks is kept."""
    await call.app.privacy.opt_out(call.person, out=True)
    await call.app.audit.record(call.room.tenant, "opt_out", by=call.person, room=call.room, detail={})
    prefix = call.app.settings.prefix
    hint = hint_line(f"`{prefix} forget me` erases the past, `{prefix} optin` undoes this.")
    return Said((line("From now on I keep nothing that you write."), hint), private=True)


async def optin(call: Call) -> Said:
    """From now on what they write is kept again."""
    await call.app.privacy.opt_out(call.person, out=False)
    await call.app.audit.record(call.room.tenant, "opt_in", by=call.person, room=call.room, detail={})
    return Said(page("From now on I remember what you write here."), private=True)


async def _change(call: Call, name: str, value: str) -> Said:
    require(call.actor, Role.MODERATOR, "change settings")
    chosen = await call.app.preferences.change(call.room, name, None if value == "default" else value, call.person)
    await call.app.audit.record(
        call.room.tenant, "change_setting", by=call.person, room=call.room, detail={"setting": name}
    )
    return Said(page(line(f"{name} is now ", (STRONG, chosen.as_mapping()[name]))))


async def _answer(call: Call) -> Answer:
    number = call.arguments.get("answer")
    if number is None and call.message.reply_to:
        behind = await call.app.outbox.answer_behind(call.room, call.message.reply_to)
        if behind is not None:
            return await call.app.shuttle.answer(call.room.tenant, behind)
    if number is None:
        last = await call.app.shuttle.last_answer(call.room.id)
        if last is None:
            raise NotFound("Nobody has asked anything here yet.")
        return last
    numbered = await call.app.outbox.answer_numbered(call.room, number)
    if numbered is None:
        raise NotFound(f"There is no answer #{number} in this room.")
    return await call.app.shuttle.answer(call.room.tenant, numbered)


def _usage(call: Call, name: str) -> Said:
    command = TABLE.commands[name]
    prefix = call.app.settings.prefix
    return Said(page(hint_line(f"`{command.usage(prefix)}` {command.words}; for example `{prefix} {command.example}`")))


def _number(word: str) -> int:
    return int(word.lstrip("#"))


def _setting(word: str) -> str:
    if word.lower() not in CHECKS:
        raise ValueError(word)
    return word.lower()


def _no_setting(rest: str) -> str | None:
    """`Command.misfit` of ``server``, which many a question begins with: only a name that was mistyped is told."""
    close = difflib.get_close_matches(rest.split(maxsplit=1)[0].lower(), CHECKS, n=1, cutoff=CLOSE)
    return one_of("setting", tuple(CHECKS), most=2)(rest) if close else None


def _command(word: str) -> str:
    if word.lower() not in TABLE.commands:
        raise ValueError(word)
    return word.lower()


def _target(word: str) -> Any:
    return word.lower() if word.lower() in {"me", "last"} else identifier(word)


TABLE: Final = CommandTable(
    (
        Command(
            "ask",
            (Argument("question", str, optional=False, rest=True),),
            "asks, whatever the question starts with",
            "ask help, where is the ladder?",
            help_,
        ),
        Command(
            "why",
            (Argument("answer", _number, shown="NUMBER"),),
            "explains an answer's route; its sources and their ids",
            "why 3",
            why,
        ),
        Command("stats", (), "what I remember here, and what each route has earned", "stats", stats),
        Command(
            "digest",
            (Argument("switch", word_of("on", "off"), shown="on|off"),),
            "the week; on or off",
            "digest",
            digest,
            acts=True,
        ),
        Command(
            "remember",
            (Argument("text", statement, optional=False, rest=True),),
            "keeps a statement of yours",
            "remember the gate code is on the board",
            remember,
            acts=True,
        ),
        Command(
            "forget",
            (
                Argument("what", _target, optional=False, shown="last|ID|me"),
                Argument("sure", word_of("yes"), shown="yes"),
            ),
            "erases your last message, one by its id, or all of yours",
            "forget last",
            forget,
            acts=True,
            once=True,
        ),
        Command(
            "know",
            (Argument("what", knowing.subject, rest=True, shown="me|NAME|THING"),),
            "what I keep about you, in numbers; what I gathered about somebody or something",
            "know hive 4",
            know,
        ),
        Command(
            "export", (Argument("me", word_of("me"), shown="me"),), "what I keep about you, all of it", "export", export
        ),
        Command(
            "settings",
            (Argument("name", _setting, shown="NAME"), Argument("value", str, rest=True, shown="VALUE")),
            "this room's settings; changes one",
            "settings digest_at friday 16:00",
            settings,
            acts=True,
            misfit=one_of("setting of a room", tuple(CHECKS), most=2),
        ),
        Command(
            "server",
            (Argument("name", _setting, shown="NAME"), Argument("value", str, rest=True, shown="VALUE")),
            "settings of all rooms of this team; changes one",
            "server retention 90 days",
            server,
            acts=True,
            misfit=_no_setting,
        ),
        Command(
            "promote",
            (Argument("policy", word_of(*POLICIES, "back"), shown="POLICY|back"),),
            "which policy decides; an admin puts a better one in force",
            "promote greedy",
            promote,
            acts=True,
            once=True,
            misfit=one_of("policy", (*POLICIES, "back")),
        ),
        Command("optout", (), "from now on I keep nothing that you write", "optout", optout, acts=True),
        Command("optin", (), "from now on I keep it again", "optin", optin, acts=True),
        Command("e2ee", (), "whether I can read this room, and what mends it", "e2ee", e2ee),
        Command(
            "help",
            (Argument("command", _command, shown="COMMAND"),),
            "shows this, or one command",
            "help forget",
            help_,
        ),
    )
)
