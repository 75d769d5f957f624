"""Numbers, forgetting, exporting, settings, jobs: what the command line does to what is kept."""

from __future__ import annotations

import json

import pytest

from bot.app import App
from memory.errors import Ambiguous, BadInput, NotFound, Refused
from tests.unit.bot.rooms import result, results, run, shown, told


class TestStats:
    async def test_an_empty_folder_has_zeros(self, app: App) -> None:
        numbers = await result(app, "stats")

        assert numbers["messages"] == 0
        assert numbers["routes"] == []

    async def test_they_count_and_are_json(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"), ("Ben", "the smoker is lost"))
        answer = await result(app, "ask", question="queen?")
        await run(app, "react", answer_id=answer["answer_id"], emoji="👍", person="Ana")

        events = await run(app, "stats", room="hives")

        numbers = events[0]["result"]
        counted = {name: numbers[name] for name in ("messages", "people", "sessions", "answers", "votes")}
        assert counted == {"messages": 2, "people": 2, "sessions": 1, "answers": 1, "votes": 1}
        [route] = numbers["routes"]
        assert {"route", "decisions", "votes", "evidence", "mean", "low", "high"} <= set(route)
        assert route["low"] <= route["mean"] <= route["high"]
        json.dumps(numbers, allow_nan=False)
        assert "2 messages of 2 people in 1 conversation" in shown(events)
        assert route["route"] in shown(events)

    async def test_an_unknown_room_is_refused(self, app: App) -> None:
        with pytest.raises(NotFound):
            await run(app, "stats", room="nope")


class TestForgetting:
    async def test_a_message_is_gone(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"), ("Ben", "the smoker is lost"))

        assert (await result(app, "forget", message="h1"))["forgotten"] == 1
        assert (await result(app, "stats"))["messages"] == 1

    async def test_a_person_is_gone(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"), ("Ben", "the smoker is lost"), ("Ana", "bye"))

        events = await run(app, "forget", person="Ana")

        assert "Ana is forgotten: 2 messages erased" in shown(events)
        with pytest.raises(NotFound):
            await run(app, "export", person="Ana")

    async def test_an_ambiguous_name_is_refused_with_the_ids(self, app: App) -> None:
        await told(app, ("Ana Bell", "hello"), ("Ana Cole", "hello"))

        with pytest.raises(Ambiguous, match=r"Ana Bell.*Ana Cole"):
            await run(app, "forget", person="Ana")

    async def test_unknown_ones_are_refused(self, app: App) -> None:
        with pytest.raises(NotFound):
            await run(app, "forget", message="nope")
        with pytest.raises(NotFound):
            await run(app, "forget", person="nope")

    async def test_a_message_id_of_two_rooms_needs_the_room(self, app: App) -> None:
        await told(app, ("Ana", "one"), room="a")
        await told(app, ("Ana", "one"), room="b")

        with pytest.raises(Ambiguous, match="--room"):
            await run(app, "forget", message="h1")
        assert (await result(app, "forget", message="h1", room="b"))["forgotten"] == 1


class TestExporting:
    async def test_everything_of_a_person_comes_out_and_nothing_of_others(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"), ("Ben", "the smoker is lost"))
        await run(app, "ask", question="smoker?", person="Ana")

        items = await results(app, "export", person="Ana")

        assert [item["kind"] for item in items] == ["person", "message", "answer", "reflection"]
        assert "Ben" not in json.dumps([item for item in items if item["kind"] == "message"])


class TestRebuilding:
    async def test_answers_are_the_same_afterwards(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"), ("Ben", "the smoker is lost"))
        before = await result(app, "ask", question="smoker?", route="chat")

        told_back = await results(app, "reindex")

        after = await result(app, "ask", question="smoker?", route="chat")
        assert told_back == [{"rooms": 1, "messages": 2}, {"teams": 1, "differed": 0}]
        assert after["citations"] == before["citations"]

    async def test_what_votes_teach_is_counted_anew_and_compared(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"), ("Ben", "the smoker is lost"))
        asked = await result(app, "ask", question="smoker?", route="chat")
        await run(app, "react", answer_id=asked["answer_id"], emoji="👍", person="Ana")
        before = await app.paths.state(app.tenant)

        told_back = await results(app, "reindex", store="learning")

        assert told_back == [{"teams": 1, "differed": 0}]
        assert await app.paths.state(app.tenant) == before != {}
        assert (app.settings.data / "learning" / f"paths-{app.tenant}.bin").exists()

    async def test_an_unknown_store_names_those_there_are(self, app: App) -> None:
        with pytest.raises(NotFound, match="rooms, learning"):
            await results(app, "reindex", store="cupboard")

    async def test_all_is_each_that_is_configured(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"))
        rebuilt = await results(app, "reindex", store="all")
        assert [set(one) for one in rebuilt] == [{"rooms", "messages"}, {"teams", "differed"}]
        with pytest.raises(NotFound, match="neo4j, qdrant, redis, all"):
            await results(app, "reindex", store="everything")

    async def test_a_store_that_is_not_configured_is_refused_with_the_setting(self, app: App) -> None:
        with pytest.raises(Refused, match="set WEAVEBOT_NEO4J_URL"):
            await results(app, "reindex", store="neo4j")


class TestSettings:
    async def test_one_can_be_changed_and_taken_back(self, app: App) -> None:
        await told(app, ("Ana", "hello"))

        changed = await result(app, "settings", name="timezone", value="Europe/Berlin")
        assert changed == {"room": "hives", "timezone": "Europe/Berlin"}
        assert (await result(app, "settings", name="timezone", value="default"))["timezone"] == "UTC"

    async def test_all_are_shown(self, app: App) -> None:
        await told(app, ("Ana", "hello"))

        assert await result(app, "settings") == {
            "room": "hives",
            "listen": "on",
            "retention": "off",
            "digest": "on",
            "digest_at": "monday 09:00",
            "timezone": "UTC",
            "language": "en",
            "prompts": "on",
        }

    @pytest.mark.parametrize(
        ("name", "value"), [("timezone", "Mars"), ("digest", "maybe"), ("digest_at", "someday"), ("colour", "red")]
    )
    async def test_a_bad_one_is_refused(self, app: App, name: str, value: str) -> None:
        await told(app, ("Ana", "hello"))

        with pytest.raises(BadInput, match=name):
            await run(app, "settings", name=name, value=value)

    async def test_an_unknown_one_cannot_be_shown(self, app: App) -> None:
        await told(app, ("Ana", "hello"))

        with pytest.raises(NotFound, match="no setting 'colour'"):
            await run(app, "settings", name="colour")


class TestJobs:
    async def test_without_a_name_they_are_listed(self, app: App) -> None:
        assert [one["job"] for one in await results(app, "job")] == [
            "digest",
            "reflection",
            "sessions",
            "retention",
            "departed",
            "tripwire",
            "rewards",
        ]

    async def test_one_can_be_run_now(self, app: App) -> None:
        assert "conversation" in (await result(app, "job", name="sessions"))["done"]
        assert "recomputed" in (await result(app, "job", name="rewards"))["done"]

    async def test_the_digest_of_each_room_is_shown(self, app: App) -> None:
        await told(app, ("Ana", "hello"), room="a")
        await told(app, ("Ana", "hello"), room="b")

        events = await run(app, "job", name="digest")

        assert [event["result"]["room"] for event in events] == ["a", "b"]
        assert "This week in a" in shown(events)

    async def test_of_one_room_only_when_it_is_named(self, app: App) -> None:
        await told(app, ("Ana", "hello"), room="a")
        await told(app, ("Ana", "hello"), room="b")

        assert [one["room"] for one in await results(app, "job", name="digest", room="b")] == ["b"]

    async def test_an_unknown_one_is_refused(self, app: App) -> None:
        with pytest.raises(NotFound, match=r"no job 'dance'; there are digest"):
            await run(app, "job", name="dance")


class TestTheRest:
    async def test_the_digest_is_an_object_and_a_page(self, app: App) -> None:
        await told(app, ("Ana", "hello there"))

        events = await run(app, "digest")

        assert events[0]["result"]["room"] == "hives"
        assert "This week in hives" in shown(events)
        json.dumps(events[0]["result"], allow_nan=False)

    async def test_migrate_says_where_the_schema_is(self, app: App) -> None:
        assert (await result(app, "migrate"))["schema"]

    async def test_doctor_finds_every_part_well(self, app: App) -> None:
        found = {one["check"]: one for one in await results(app, "doctor")}

        assert {"settings", "data folder", "disk", "database", "index", "model"} <= set(found)
        assert all(one["ok"] for one in found.values())
