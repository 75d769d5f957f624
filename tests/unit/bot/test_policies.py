"""Policies judged, promoted and tried through the front doors: operations, a room's command, the job."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import structlog
from sqlalchemy import select

from bot import falls, pictures
from bot.app import App
from bot.jobs import TABLE, Schedule
from bot.models import IncomingMessage, Role
from bot.pages import plain
from bot.reports import bar
from bot.tables import audit
from memory.errors import Ambiguous, BadInput, Refused, Unavailable
from memory.models import Room, Scope
from routing.policy_book import Reason
from routing.routes import CHAT, VECTOR
from tests.doubles import START
from tests.unit.bot.rooms import HIVES, Chat, actor, clock_of, result, run, shown, told
from tests.unit.routing.logs import keep_log

EVEN: Final = {CHAT: 0.5, VECTOR: 0.5}
WORSE: Final = {CHAT: 0.8, VECTOR: 0.2}
BETTER: Final = {CHAT: 0.2, VECTOR: 0.9}


async def voted(app: App, good: dict[str, float], n: int) -> Room:
    """A room in which n answers were rated."""
    await told(app, ("Ana", "the queen is red"))
    room = await app.directory.find_room(app.tenant, "hives")
    people = [(await app.directory.person(app.tenant, name, name)).id for name in "abcdefghijklmnopqrst"]
    await keep_log(app.database, Scope(app.tenant, (room.id,)), people, good, EVEN, n, at=START)
    return room


async def nowhere() -> list[Room]:
    return []


async def audited(app: App) -> list[str]:
    async with app.database.read() as conn:
        return list((await conn.execute(select(audit.c.action).order_by(audit.c.id))).scalars())


class TestEvaluating:
    async def test_it_tells_what_each_policy_would_have_earned(self, app: App) -> None:
        await voted(app, BETTER, 120)
        told_ = await result(app, "evaluate", policy="vector")
        [vector] = told_["evaluations"]
        assert told_["incumbent"] == "thompson"
        assert vector["decisions"] == 120
        assert vector["dr"]["low"] < vector["dr"]["mean"] < vector["dr"]["high"]
        assert vector["lead"]["low"] > 0

    async def test_the_table_has_everything_that_a_log_can_judge(self, app: App) -> None:
        await voted(app, BETTER, 60)
        said = shown(await run(app, "evaluate"))
        for name in "rules thompson greedy cautious uniform chat vector DR SNIPS IPS".split():
            assert name in said
        assert "60 rewarded decisions; thompson is in force" in said

    async def test_too_few_votes_are_a_sentence(self, app: App) -> None:
        await voted(app, BETTER, 3)
        with pytest.raises(Refused, match="Only 3 decisions have a vote, and judging a policy needs 30"):
            await run(app, "evaluate")

    async def test_a_date_that_is_none_is_refused(self, app: App) -> None:
        with pytest.raises(BadInput, match="'soon' is no date; write one such as"):
            await run(app, "evaluate", since="soon")


class TestSeveralTeams:
    async def both(self, app: App) -> tuple[Room, Room]:
        """The local team, whose votes like vector, and a Matrix account's, whose do not; each has a room `yard`."""
        matrix = await app.directory.tenant("matrix", "@weave:one", "@weave:one")
        found = []
        for tenant, key, good in ((app.tenant, "here", BETTER), (matrix, "!y:one", WORSE)):
            room = await app.directory.room(tenant, key, "yard")
            people = [(await app.directory.person(tenant, name, name)).id for name in "abcdefghijklmnopqrst"]
            await keep_log(app.database, Scope(tenant, (room.id,)), people, good, EVEN, 120, at=START)
            found.append(room)
        return found[0], found[1]

    async def test_without_a_room_they_are_refused_with_the_rooms(self, app: App) -> None:
        await self.both(app)
        for operation in ("evaluate", "learn", "promote", "experiment"):
            with pytest.raises(BadInput, match="Say which room with --room: yard, yard"):
                await run(app, operation)

    async def test_a_name_that_fits_rooms_of_both_is_refused_with_ids_and_teams(self, app: App) -> None:
        await self.both(app)
        with pytest.raises(Ambiguous, match=r"use one of the ids here \(local local\), !y:one \(matrix @weave:one\)"):
            await run(app, "evaluate", room="yard")

    async def test_each_room_is_judged_by_the_votes_and_the_policy_of_its_team(self, app: App) -> None:
        _, there = await self.both(app)
        await app.policies.promote(there.tenant, "greedy", Reason.PROMOTED)
        told_ = shown(await run(app, "evaluate", room="!y:one", policy="vector"))
        assert "120 rewarded decisions in yard (matrix @weave:one); greedy is in force" in told_
        ours = await result(app, "evaluate", room="here", policy="vector")
        theirs = await result(app, "evaluate", room="!y:one", policy="vector")
        assert (ours["incumbent"], theirs["incumbent"]) == ("thompson", "greedy")
        assert [one["evaluations"][0]["decisions"] for one in (ours, theirs)] == [120, 120]
        assert ours["evaluations"][0]["dr"]["mean"] > theirs["evaluations"][0]["dr"]["mean"] + 0.2


class TestPromoting:
    async def test_what_the_votes_prove_is_promoted_recorded_and_taken_back(self, app: App) -> None:
        await voted(app, BETTER, 260)
        assert (await result(app, "promote", policy="greedy"))["policy"] == "greedy"
        assert (await result(app, "promote"))["policy"] == "greedy"
        assert (await result(app, "promote", back=True))["policy"] == "thompson"
        assert await audited(app) == ["promoted", "taken_back"]

    async def test_in_a_room_only_an_admin_may(self, app: App, chat: Chat) -> None:
        await voted(app, BETTER, 260)
        assert "thompson decides" in await chat.say("Ana", "!weave promote")
        assert "Only the room's admins may promote" in await chat.say("Ana", "!weave promote greedy")
        assert "greedy decides from now on" in await chat.say("Ben", "!weave promote greedy", role=Role.ADMIN)
        assert "thompson decides from now on" in await chat.say("Ben", "!weave promote back", role=Role.ADMIN)

    async def test_a_reply_that_does_not_go_out_does_not_take_back_more(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red")
        for name in ("greedy", "cautious"):
            await app.policies.promote(app.tenant, name, Reason.PROMOTED)
        message = IncomingMessage(HIVES, "b1", actor("Ben", Role.ADMIN), "!weave promote back", app.clock.now())
        await chat.dispatch.take([message])
        chat.platform.broken = Unavailable("the platform is down")
        for _ in range(2):
            with contextlib.suppress(Unavailable):
                await chat.dispatch.replies.settle()
        chat.platform.broken = None
        await chat.dispatch.replies.settle()
        assert await app.policies.in_force(app.tenant) == "greedy"
        assert "interrupted while I did !weave promote; look whether it is done" in chat.platform.said
        assert await audited(app) == ["taken_back"]

    async def test_a_promotion_ends_the_experiment_and_says_so(self, app: App) -> None:
        await voted(app, BETTER, 260)
        await run(app, "experiment", action="start", policies=["thompson", "formula"])
        said = shown(await run(app, "promote", policy="greedy"))
        assert "greedy decides from now on; until now it was thompson." in said
        assert "The experiment thompson against formula has ended with that." in said
        assert await app.policies.running(app.tenant) is None

    async def test_what_they_do_not_prove_is_refused_with_the_numbers(self, app: App, chat: Chat) -> None:
        await voted(app, BETTER, 260)
        said = await chat.say("Ben", "!weave promote rules", role=Role.ADMIN)
        assert "ules earned -0." in said
        assert "it is promoted when that is above 0" in said


class TestTheTripwire:
    async def test_votes_take_a_worse_policy_out_and_the_admins_are_told(self, app: App, chat: Chat) -> None:
        room = await voted(app, WORSE, 200)
        await run(app, "experiment", action="start", policies=["thompson", "formula"])
        clock_of(app).advance(timedelta(hours=2))
        assert (
            "1 policies compared with the rules, 1 taken out" in await Schedule(app, chat.dispatch.post, nowhere).look()
        )
        assert chat.platform.sent == []

        async def here() -> list[Room]:
            return [room]

        schedule = Schedule(app, chat.dispatch.post, here)
        with structlog.testing.capture_logs() as logged:
            for trouble in (Refused("I may not write there."), Unavailable("the platform is down"), OSError()):
                chat.platform.broken = trouble
                for _ in range(3):
                    await schedule.look()
            chat.platform.broken = None
            for _ in range(2):
                await schedule.look()
        falls_told = [one["event"] for one in logged if one["event"].startswith("fall.")]
        assert falls_told == ["fall.untold", "fall.untold", "fall.untold", "fall.told"]  # one for each change
        words = "\n".join(plain(reply.page) for reply in chat.platform.sent)
        assert words.count("For the admins: thompson is out and the rules decide.") == 1
        assert "Over 200 rewarded decisions it earned -0." in words
        assert "The experiment thompson against formula has ended with that." in words
        assert await audited(app) == ["start_experiment", "fallen_back"]
        await chat.say("Ana", "!weave what colour is the queen?")
        answer = await app.shuttle.last_answer(room.id)
        assert answer is not None
        assert answer.decision.policy == "rules"

    async def test_a_fall_that_was_taken_back_is_told_no_more(self, app: App, chat: Chat) -> None:
        room = await voted(app, WORSE, 200)
        await TABLE["tripwire"].function(app, chat.dispatch.post, None)
        await app.policies.back(app.tenant)

        async def here() -> list[Room]:
            return [room]

        await falls.Notices(app, chat.dispatch.post, here).tell()
        assert chat.platform.sent == []

    async def test_a_better_one_stays(self, app: App) -> None:
        await voted(app, BETTER, 150)
        [said] = [one["done"] for one in [await result(app, "job", name="tripwire")]]
        assert said == "1 policies compared with the rules, 0 taken out"


class TestExperimenting:
    async def test_it_starts_tells_and_stops(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"))
        started = shown(await run(app, "experiment", action="start", policies=["thompson", "greedy"]))
        assert "thompson against greedy runs, 0 threads with votes" in started
        assert "with 200 threads a difference of" in started
        assert "ended" in shown(await run(app, "experiment", action="stop"))
        assert (await result(app, "experiment"))["ended_at"] is not None
        assert await audited(app) == ["start_experiment", "stop_experiment"]

    async def test_mistakes_are_sentences(self, app: App) -> None:
        with pytest.raises(BadInput, match="No experiment was ever started"):
            await run(app, "experiment")
        with pytest.raises(BadInput, match="Name the two policies"):
            await run(app, "experiment", action="start", policies=["rules"])
        with pytest.raises(BadInput, match="no action 'go'"):
            await run(app, "experiment", action="go")
        with pytest.raises(BadInput, match="No experiment is running"):
            await run(app, "experiment", action="stop")


class TestWhatWasLearned:
    async def test_it_is_told_in_numbers_and_drawn(self, app: App, tmp_path: Path) -> None:
        await voted(app, BETTER, 90)
        for name, first in (("learned.svg", b"<?xml"), ("learned.png", b"\x89PNG")):
            told_ = await result(app, "learn", plot=str(tmp_path / name))
            assert (tmp_path / name).read_bytes().startswith(first)
        assert told_["rated"] == 90
        assert told_["decided"]["answers"][-1] == 90
        routes = {one["route"]: one for one in told_["routes"]}
        assert set(routes) == {CHAT, VECTOR}
        assert routes[VECTOR]["earned"]["mean"] > routes[CHAT]["earned"]["mean"] + 0.3
        [part] = told_["calibration"]
        assert (part["answers"], part["confidence"]) == (90, pytest.approx(0.7))

    async def test_the_drawing_names_what_it_shows(self, app: App, tmp_path: Path) -> None:
        await voted(app, BETTER, 40)
        await run(app, "learn", plot=str(tmp_path / "learned.svg"), room="hives")
        drawn = (tmp_path / "learned.svg").read_text("utf-8")
        for words in ("What votes taught in hives", "Mean reward so far", "chat (", "Confidence against votes"):
            assert f"<!-- {words}" in drawn

    async def test_a_rooms_name_is_no_formula(self, app: App, tmp_path: Path) -> None:
        await voted(app, BETTER, 40)
        found = await app.judge.progress(app.tenant)
        for title in ("What votes taught in a$_b$", "deals $$", "$\\foo$"):
            pictures.draw(found, title, tmp_path / "learned.svg")
            assert f"<!-- {title} · 40 rated answers" in (tmp_path / "learned.svg").read_text("utf-8")
        with pytest.raises(Refused, match="cannot be written"):
            pictures.draw(found, "What votes taught", tmp_path / "a\0b.svg")

    async def test_another_kind_of_file_is_refused(self, app: App, tmp_path: Path) -> None:
        await voted(app, BETTER, 40)
        with pytest.raises(BadInput, match=r"A picture is \.svg or \.png"):
            await run(app, "learn", plot=str(tmp_path / "learned.pdf"))
        with pytest.raises(Refused, match="cannot be written"):
            await run(app, "learn", plot=str(tmp_path / "nowhere" / "learned.png"))

    async def test_a_rooms_numbers_come_with_a_small_chart(self, app: App, chat: Chat) -> None:
        await voted(app, BETTER, 90)
        said = await chat.say("Ana", "!weave stats")
        [vector] = [one for one in said.splitlines() if one.startswith("vector  █")]
        [chatting] = [one for one in said.splitlines() if one.startswith("chat    █")]
        assert vector.count("█") > chatting.count("█")
        assert vector.split("  ")[-1][-1] in "▅▆▇"

    @pytest.mark.parametrize(
        ("share", "cells"), [(0.0, "░" * 10), (1.0, "█" * 10), (0.55, "█████▌░░░░"), (0.013, "▏░░░░░░░░░")]
    )
    def test_a_bar_is_as_long_as_its_share(self, share: float, cells: str) -> None:
        assert bar(share) == cells
