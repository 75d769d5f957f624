"""The one path of an event: journal, command, answer, vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import IntegrityError, OperationalError
from structlog.testing import capture_logs

from bot.app import App
from bot.models import (
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
from bot.pages import page
from memory.errors import Unavailable
from memory.models import Admitted, Draft, Provenance, Room, Scope
from tests.doubles import START, WordEmbedder
from tests.unit.bot.rooms import HIVES, Chat, Platform, actor, clock_of, open_bot, result, run, shown


class TestMessages:
    async def test_they_are_remembered_and_not_answered(self, chat: Chat) -> None:
        assert await chat.say("Ana", "the queen is red") == ""

        assert await chat.texts() == ["the queen is red"]

    async def test_delivered_twice_they_are_remembered_once(self, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red", event_id="e1")
        await chat.say("Ana", "the queen is red", event_id="e1")

        assert await chat.texts() == ["the queen is red"]

    @pytest.mark.parametrize("text", ["!weave who is it?", "!weave", "!weave stats", "!WEAVE why is it red?"])
    async def test_what_is_said_to_the_bot_is_not_remembered(self, chat: Chat, text: str) -> None:
        await chat.say("Ana", "the queen is red")
        await chat.say("Ana", text)

        assert await chat.texts() == ["the queen is red"]

    async def test_what_a_bot_says_is_not_remembered(self, chat: Chat) -> None:
        await chat.say("Echo", "the queen is blue", is_bot=True)

        assert await chat.texts() == []

    async def test_nothing_is_not_remembered(self, chat: Chat) -> None:
        assert await chat.say("Ana", "  \n") == ""

        assert await chat.texts() == []

    async def test_a_bad_one_is_told_and_the_next_goes_on(self, chat: Chat) -> None:
        assert "longer than 1 MiB" in await chat.say("Ana", "x" * ((1 << 20) + 1))
        await chat.say("Ana", "hello")

        assert await chat.texts() == ["hello"]

    async def test_their_texts_are_never_logged(self, chat: Chat) -> None:
        with structlog.testing.capture_logs() as logged:
            await chat.say("Ana", "the secret plan")
            await chat.say("Ana", "!weave what is the secret?")
            await chat.say("Ana", "secret" * (1 << 18))

        assert "secret" not in str(logged)


class TestBatches:
    async def test_rooms_that_talk_across_each_other_are_few_transactions_in_order(self, app: App, chat: Chat) -> None:
        places = [replace(HIVES, room=room, name=room) for room in ("hives", "orchard", "kitchen")]

        def said(number: int) -> IncomingMessage:
            return IncomingMessage(places[number % 3], f"b{number}", actor("Ana"), f"{number}", app.clock.now())

        edit = Edit(places[0], "b0@1", "b0", actor("Ana"), "zero", app.clock.now())
        with structlog.testing.capture_logs() as logged:
            await chat.dispatch.take([*(said(number) for number in range(9)), edit, said(9)])

        assert [one["new"] for one in logged if one["event"] == "message.admitted"] == [3, 1, 3, 3]
        assert await chat.texts() == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "zero"]

    @pytest.mark.embedded
    async def test_the_log_is_emptied_of_what_was_deleted_once_a_batch(self, app: App, chat: Chat) -> None:
        texts = [f"needle {number}" for number in range(3)]
        for text in texts:
            await chat.say("Ana", text)
        gone = [Deletion(HIVES, f"d{number}", f"m{number}", app.clock.now()) for number in (1, 2, 3)]

        await chat.dispatch.take(gone)

        assert await chat.texts() == []
        assert not (app.settings.data / "weavebot.sqlite3-wal").stat().st_size


class TestQuestions:
    async def test_they_are_answered_with_their_source(self, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red")

        said = await chat.say("Ben", "!weave what colour is the queen?")

        assert "[1] Ana" in said
        assert "the queen is red" in said

    async def test_delivered_twice_they_are_answered_once(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red")
        await chat.say("Ben", "!weave queen?", event_id="q1")

        assert await chat.say("Ben", "!weave queen?", event_id="q1") == ""
        assert (await result(app, "stats"))["answers"] == 1

    async def test_cut_off_before_it_was_sent_the_same_answer_is_sent_again(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red")
        chat.platform.broken = Unavailable("the platform is away")
        with pytest.raises(Unavailable):
            await chat.say("Ben", "!weave queen?", event_id="q1")
        chat.platform.broken = None

        assert "the queen is red" in await chat.say("Ben", "!weave queen?", event_id="q1")
        assert (await result(app, "stats"))["answers"] == 1

    async def test_history_is_never_answered(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red", provenance=Provenance.HISTORY)

        assert await chat.say("Ben", "!weave queen?", provenance=Provenance.HISTORY) == ""
        assert (await result(app, "stats"))["answers"] == 0

    async def test_what_was_missed_is_answered(self, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red")

        assert "red" in await chat.say("Ben", "!weave queen?", provenance=Provenance.RECOVERED)

    async def test_an_endless_one_is_refused_in_one_sentence(self, chat: Chat) -> None:
        assert "longer than 4,096" in await chat.say("Ben", "!weave " + "x" * 5000)

    async def test_a_broken_model_is_told(self, tmp_path: Path) -> None:
        words = WordEmbedder()
        async with open_bot(tmp_path, embedder=words) as app:
            chat = Chat(app)
            await chat.say("Ana", "the queen is red")
            words.broken = True

            assert "cannot run now" in await chat.say("Ben", "!weave brand new words?")


class TestEdits:
    async def test_an_edit_replaces(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red", event_id="e1")

        await chat.handle(Edit(HIVES, "x1", "e1", actor("Ana"), "the queen is blue", app.clock.now()))

        assert await chat.texts() == ["the queen is blue"]

    async def test_somebody_elses_edit_does_not_count(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red", event_id="e1")

        await chat.handle(Edit(HIVES, "x1", "e1", actor("Ben"), "the queen is blue", app.clock.now()))

        assert await chat.texts() == ["the queen is red"]

    @pytest.mark.parametrize("text", ["!weave queen?", " "])
    async def test_one_that_leaves_nothing_to_remember_erases(self, app: App, chat: Chat, text: str) -> None:
        await chat.say("Ana", "the queen is red", event_id="e1")

        await chat.handle(Edit(HIVES, "x1", "e1", actor("Ana"), text, app.clock.now()))

        assert await chat.texts() == []

    async def test_where_i_do_not_listen_nothing_new_is_kept(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red", event_id="e1")
        await app.preferences.change(await app.directory.find_room(app.tenant, "hives"), "listen", "off", None)

        for who, text in (("Ana", "the queen is red"), ("Ben", "the queen is blue")):
            await chat.handle(Edit(HIVES, "x1", "e1", actor(who), text, app.clock.now()))
        assert await chat.texts() == ["the queen is red"]

        await chat.handle(Edit(HIVES, "x2", "e1", actor("Ana"), "the queen is blue", app.clock.now()))
        assert await chat.texts() == []

    async def test_a_strangers_empty_edit_erases_nothing(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red", event_id="e1")

        await chat.handle(Edit(HIVES, "x1", "e1", actor("Ben"), " ", app.clock.now()))

        assert await chat.texts() == ["the queen is red"]


class TestDeletions:
    async def test_a_deleted_message_is_gone_for_good(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red", event_id="e1")

        await chat.handle(Deletion(HIVES, "x1", "e1", app.clock.now()))
        await chat.say("Ana", "the queen is red", event_id="e1")

        assert await chat.texts() == []

    async def test_one_that_comes_before_its_message_keeps_it_out(self, app: App, chat: Chat) -> None:
        await chat.handle(Deletion(HIVES, "x1", "e1", app.clock.now()))
        await chat.say("Ana", "the queen is red", event_id="e1")

        assert await chat.texts() == []


class TestVotes:
    async def asked(self, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red")
        await chat.say("Ben", "!weave queen?")

    async def react(self, chat: Chat, emoji: str, event_id: str, who: str = "Ben", at: datetime | None = None) -> str:
        chat.count += 1
        target = f"sent{next(n for n, reply in enumerate(chat.platform.sent, 1) if reply.answer is not None)}"
        clock_of(chat.app).advance(timedelta(seconds=1))
        when = at or chat.app.clock.now()
        return await chat.handle(ReactionAdded(HIVES, event_id, target, actor(who), emoji, when))

    async def votes(self, app: App) -> int:
        return int((await result(app, "stats"))["votes"])

    async def test_a_reaction_to_an_answer_is_a_vote(self, app: App, chat: Chat) -> None:
        await self.asked(chat)

        assert "noted: " in await self.react(chat, "👎", "r1")
        assert await self.votes(app) == 1

    async def test_delivered_twice_it_counts_once(self, app: App, chat: Chat) -> None:
        await self.asked(chat)
        await self.react(chat, "👎", "r1")

        assert await self.react(chat, "👎", "r1") == ""
        assert await self.votes(app) == 1

    async def test_delivered_again_after_it_was_taken_back_it_stays_away(self, app: App, chat: Chat) -> None:
        await self.asked(chat)
        await self.react(chat, "👎", "r1")
        first = app.clock.now()
        await chat.handle(ReactionRemoved(HIVES, "x1", app.clock.now(), reaction="r1"))

        await self.react(chat, "👎", "r1", at=first)

        assert await self.votes(app) == 0

    async def test_put_again_where_reactions_have_no_ids_of_their_own_it_counts_again(
        self, app: App, chat: Chat
    ) -> None:
        await self.asked(chat)
        await self.react(chat, "👎", "m1:ben:👎")
        await chat.handle(ReactionRemoved(HIVES, "x1", app.clock.now(), reaction="m1:ben:👎"))

        await self.react(chat, "👎", "m1:ben:👎")

        assert await self.votes(app) == 1

    async def test_a_reaction_whose_vote_was_cut_off_votes_when_it_is_seen_to_stand(self, app: App, chat: Chat) -> None:
        await self.asked(chat)
        room = (await app.directory.rooms(app.tenant))[0]
        ben = await app.directory.person(app.tenant, "ben", "Ben")
        now = app.clock.now()
        await app.journal.react(room, "r1", "sent1", ben, "👎", now)

        reaction = ReactionAdded(HIVES, "r1", "sent1", actor("Ben"), "👎", now)
        await chat.handle(ReactionsStanding(HIVES, "sent1", (reaction,), now))

        assert await self.votes(app) == 1

    async def early(self, app: App, chat: Chat) -> str:
        """An answer that stands on the platform before we know under which event; its id."""
        await chat.say("Ana", "the queen is red")
        room = (await app.directory.rooms(app.tenant))[0]
        made = await app.shuttle.weave("queen?", Scope(app.tenant, (room.id,)))
        await app.outbox.put(room, "t1", in_reply_to=None, shows=made)
        return made.id

    async def test_before_its_answer_is_known_the_message_says_which_it_shows(self, app: App, chat: Chat) -> None:
        chat.platform.labels["early"] = await self.early(app, chat)

        await chat.handle(ReactionAdded(HIVES, "r1", "early", actor("Ben"), "👍", app.clock.now()))

        assert await self.votes(app) == 1

    async def test_where_it_cannot_say_it_counts_when_it_is_seen_to_stand(self, app: App, chat: Chat) -> None:
        await self.early(app, chat)
        reaction = ReactionAdded(HIVES, "r1", "early", actor("Ben"), "👍", app.clock.now())
        assert await chat.handle(reaction) == "There is no such answer to react to."
        room = (await app.directory.rooms(app.tenant))[0]
        await app.outbox.sent(room, "t1", "early")

        await chat.handle(ReactionsStanding(HIVES, "early", (reaction,), app.clock.now()))

        assert await self.votes(app) == 1

    async def test_on_an_answer_whose_message_was_deleted_it_still_rates_the_route(self, app: App, chat: Chat) -> None:
        await self.asked(chat)
        await self.react(chat, "👎", "r1")
        await chat.handle(Deletion(HIVES, "x1", "sent1", app.clock.now()))

        await self.react(chat, "👍", "r2", who="Ana")

        assert await self.votes(app) == 2

    async def test_it_is_taken_back_by_its_event(self, app: App, chat: Chat) -> None:
        await self.asked(chat)
        await self.react(chat, "👎", "r1")

        assert "taken back" in await chat.handle(ReactionRemoved(HIVES, "x1", app.clock.now(), reaction="r1"))
        assert await self.votes(app) == 0

    async def test_it_is_taken_back_by_message_person_and_emoji(self, app: App, chat: Chat) -> None:
        await self.asked(chat)
        await self.react(chat, "👎", "r1")
        removed = ReactionRemoved(HIVES, "x1", app.clock.now(), target="sent1", actor=actor("Ben"), emoji="👎")

        assert "taken back" in await chat.handle(removed)
        assert await self.votes(app) == 0

    @pytest.mark.parametrize(
        "removed",
        [
            {"reaction": "nope"},
            {"target": "sent1", "actor": actor("Ana"), "emoji": "👎"},
            {"target": "sent1"},
        ],
    )
    async def test_what_is_not_there_cannot_be_taken_back(
        self, app: App, chat: Chat, removed: dict[str, object]
    ) -> None:
        await self.asked(chat)
        await self.react(chat, "👎", "r1")

        said = await chat.handle(ReactionRemoved(HIVES, "x1", app.clock.now(), **removed))  # type: ignore[arg-type]  # parametrised

        assert said == "That reaction is not there."
        assert await self.votes(app) == 1

    async def test_a_reaction_to_a_persons_message_is_no_vote(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red", event_id="e1")

        await chat.handle(ReactionAdded(HIVES, "r1", "e1", actor("Ben"), "👍", app.clock.now()))
        await chat.handle(ReactionRemoved(HIVES, "x1", app.clock.now(), reaction="r1"))

        assert await self.votes(app) == 0

    async def test_the_bots_own_reaction_is_no_vote(self, app: App, chat: Chat) -> None:
        await self.asked(chat)

        await chat.handle(ReactionAdded(HIVES, "r1", "sent1", actor("Bot", is_bot=True), "👍", app.clock.now()))

        assert await self.votes(app) == 0

    async def test_an_emoji_of_endless_length_does_no_harm(self, chat: Chat) -> None:
        await self.asked(chat)

        assert "says nothing" in await self.react(chat, "🍕" * 1000, "r1")

    async def test_in_a_room_of_many_votes_are_silent(self, app: App) -> None:
        chat = Chat(app, Platform(capabilities=None))
        object.__setattr__(chat.platform.capabilities, "tells_votes", False)
        await self.asked(chat)

        assert await self.react(chat, "👍", "r1") == ""
        assert await self.votes(app) == 1


class TestTheRest:
    async def test_gaps_and_memberships_are_logged(self, app: App, chat: Chat) -> None:
        now = app.clock.now()
        with structlog.testing.capture_logs() as logged:
            await chat.handle(Gap(HIVES, now, now))
            await chat.handle(Membership(HIVES, "j1", actor("Ana"), joined=True, at=now))

        assert [entry["event"] for entry in logged] == ["room.gap", "room.membership"]

    async def test_what_is_posted_for_an_occasion_is_posted_once(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "hello")
        room = await app.directory.find_room(app.tenant, "hives")

        await chat.dispatch.post(room, page("the week"), "monday")
        await chat.dispatch.post(room, page("the week"), "monday")

        assert chat.platform.said == "the week"
        assert len(chat.platform.sent) == 1

    async def test_after_a_restart_everything_is_found_again(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path) as first:
            before = Chat(first)
            await before.say("Ana", "the queen is red")
            await before.say("Ben", "!weave queen?", event_id="q1")
        async with open_bot(tmp_path) as second:
            after = Chat(second)
            assert await after.say("Ben", "!weave queen?", event_id="q1") == ""
            reacted = ReactionAdded(HIVES, "r1", "sent1", actor("Ben"), "👎", second.clock.now())
            assert "noted" in await after.handle(reacted)
            assert "red" in await after.say("Ben", "!weave what is red?")

    async def test_what_only_moderators_may_is_refused_to_members(self, chat: Chat) -> None:
        refused = await chat.say("Ana", "!weave settings digest off")
        done = await chat.say("Ben", "!weave settings digest off", role=Role.MODERATOR)

        assert refused == "Only the room's moderators may change settings; ask one of them."
        assert done == "digest is now off"


class TestFailing:
    @staticmethod
    def said(*texts: str) -> list[IncomingMessage]:
        return [IncomingMessage(HIVES, f"m{i}", actor("Ana"), text, START) for i, text in enumerate(texts)]

    @staticmethod
    def failing(monkeypatch: pytest.MonkeyPatch, app: App, error: Exception, event_id: str) -> None:
        """The journal fails over one message."""
        admit = app.journal.admit

        async def bad(room: Room, drafts: Sequence[Draft]) -> Admitted:
            if any(one.event_id == event_id for one in drafts):
                raise error
            return await admit(room, drafts)

        monkeypatch.setattr(app.journal, "admit", bad)

    @pytest.mark.parametrize("error", [KeyError("x"), IntegrityError("INSERT", {}, Exception("a constraint"))])
    async def test_a_bad_message_takes_nothing_with_it(
        self, app: App, chat: Chat, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        self.failing(monkeypatch, app, error, "m1")
        await chat.dispatch.take(self.said("the queen is red", "this one is bad", "the hive is blue"))
        assert (await result(app, "stats"))["messages"] == 2

    @pytest.mark.parametrize("error", [OSError("disk"), OperationalError("INSERT", {}, Exception("broken"))])
    async def test_what_is_no_events_fault_lets_the_batch_come_again(
        self, app: App, chat: Chat, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        self.failing(monkeypatch, app, error, "m1")
        with pytest.raises(Unavailable):
            await chat.dispatch.take(self.said("the queen is red", "the hive is blue"))
        monkeypatch.undo()
        await chat.dispatch.take(self.said("the queen is red", "the hive is blue"))
        assert (await result(app, "stats"))["messages"] == 2

    async def test_an_event_of_a_kind_that_nobody_knows_is_counted_and_holds_nothing_up(
        self, app: App, chat: Chat
    ) -> None:
        one, *more = self.said("the queen is red", "the hive is blue")
        unknown: Any = Unheard(one.place)
        with capture_logs() as logged:
            await chat.dispatch.take([one, unknown, *more])
        assert (await result(app, "stats"))["messages"] == 2
        assert [line["kind"] for line in logged if line["event"] == "event.unknown"] == ["Unheard"]
        assert (await result(app, "stats"))["passed_over"] == {"Unheard": 1}
        assert "passed over, of kinds that this version does not know: 1 Unheard" in shown(await run(app, "stats"))


@dataclass(frozen=True, slots=True)
class Unheard:
    """What a newer adapter may tell."""

    place: Place
