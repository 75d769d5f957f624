"""What people see of the queue before the index: its numbers, what was given up, and how that is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot import settings, working
from bot.app import App
from bot.beside import beside
from bot.working import telling
from memory import rounds
from memory.errors import BadInput
from memory.models import Embedding, WorkKind
from tests.doubles import WordEmbedder
from tests.unit.bot.rooms import batch, history, open_bot, result, results, run, shown

TALK = (("Ana", "the gate code is 4471"), ("Ben", "the poison one"), ("Ana", "good morning"))


class Poisoned(WordEmbedder):
    """Breaks on one text, until it is mended."""

    mended = False

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        if not self.mended and any("poison" in text for text in texts):
            raise ZeroDivisionError
        return await super().embed(texts)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Tracebacks drawn for the screen take half a second each."""
    with capture_logs():
        yield


@pytest.fixture
def words() -> Poisoned:
    return Poisoned()


@pytest.fixture(params=[None, SecretStr("memory:")], ids=["database", "queue"])
async def app(tmp_path: Path, words: Poisoned, request: pytest.FixtureRequest) -> AsyncIterator[App]:
    async with open_bot(tmp_path, embedder=words, queue_url=request.param) as found:
        yield found


class TestGivenUp:
    async def test_it_is_told_with_its_reason_and_tried_again_on_demand(self, app: App, words: Poisoned) -> None:
        await run(app, "import", batch(*history(*TALK)))
        for _ in range(5):
            await app.indexer.drain()
        told = await result(app, "queue")
        assert told["waiting"] == 1
        reason = "ZeroDivisionError" if app.queues else None
        assert [(one["reason"], one["tries"]) for one in told["dead"]] == [(reason, 5)]
        assert "--retry-dead" in shown(await run(app, "queue"))
        words.mended = True
        assert (await result(app, "queue", retry_dead=True))["dead"] == []
        assert "no message was given up" in shown(await run(app, "queue"))
        assert (await result(app, "queue"))["waiting"] == 0

    async def test_trying_again_reflects_on_nothing_where_reflection_is_off(
        self, tmp_path: Path, words: Poisoned
    ) -> None:
        async with open_bot(tmp_path, embedder=words, queue_url=SecretStr("memory:"), reflection="off") as app:
            await run(app, "import", batch(*history(*TALK)))
            waiting = (await app.reflector.depth()).waiting
            words.mended = True
            await result(app, "queue", retry_dead=True)
            assert (await app.reflector.depth()).waiting == waiting + 1
            with capture_logs() as logged:
                async with beside(telling(app, 0.01)):
                    await asyncio.sleep(0.1)
            assert {line["kind"] for line in logged if line["event"] == "queue.state"} == {"index"}

    async def test_the_doctor_says_how(self, app: App) -> None:
        if not app.queues:
            pytest.skip("no queue")
        await run(app, "import", batch(*history(*TALK)))
        found = {one["check"]: one for one in await results(app, "doctor")}
        assert found["queue"]["fix"] == "weavebot queue --retry-dead"
        assert found["queue"]["found"] == "index: 0 items, 1 dead letter; reflect: 0 items, 0 dead letters"


class TestPublishing:
    async def test_what_goes_wrong_once_does_not_end_it(
        self, tmp_path: Path, words: Poisoned, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with open_bot(tmp_path, embedder=words, queue_url=SecretStr("memory:")) as app:
            told = asyncio.Event()

            async def publish() -> bool:
                monkeypatch.setattr(app.queues[WorkKind.INDEX], "publish", published)
                raise ZeroDivisionError

            async def published() -> bool:
                told.set()
                return True

            monkeypatch.setattr(app.queues[WorkKind.INDEX], "publish", publish)
            monkeypatch.setattr(rounds, "_PAUSE", 0.01)
            monkeypatch.setattr(working, "SOON", 0.01)
            async with beside(working.publishing(app)), asyncio.timeout(5):
                await told.wait()


class TestNumbers:
    async def test_stats_show_the_queue_where_there_is_one(self, app: App) -> None:
        await run(app, "import", batch(*history(TALK[0], TALK[2])))
        [told] = [event["result"] for event in await run(app, "stats") if "result" in event]
        if not app.queues:
            assert "queue" not in told
            return
        assert {name: told["queue"][name] for name in ("depth", "oldest", "dead", "unpublished", "away")} == {
            "depth": 0,
            "oldest": None,
            "dead": 0,
            "unpublished": 0,
            "away": None,
        }
        assert told["queue"]["done_per_second"] > 0
        assert told["reflection_queue"]["done_per_second"] > 0
        for kind in ("index", "reflect"):
            assert f"0 items in the queue ({kind}), 0 dead letters" in shown(await run(app, "stats"))

    async def test_the_log_says_how_each_does_while_there_is_something_to_say(self, app: App) -> None:
        with capture_logs() as logged:
            async with beside(telling(app, 0.01)):
                await asyncio.sleep(0.1)
                assert not logged
                await run(app, "import", batch(*history(TALK[0], TALK[2])))
                await asyncio.sleep(0.2)
        told = {line["kind"]: line for line in logged if line["event"] == "queue.state"}
        assert told.keys() == ({"index", "reflect"} if app.queues else set())
        assert all(line["done_per_second"] > 0 and line["depth"] == 0 for line in told.values())

    async def test_the_doctor_says_who_hands_out(self, app: App) -> None:
        found = {one["check"]: one for one in await results(app, "doctor")}
        assert found["queue"]["ok"]
        assert found["queue"]["found"].startswith("index: 0 items" if app.queues else "none: the database")


class TestSetting:
    @pytest.mark.parametrize(
        "url", ["redis://:pw@host:6379/0", "rediss://host", "amqp://me:pw@host/", "amqps://host", "memory:"]
    )
    def test_these_are_addresses(self, url: str) -> None:
        chosen = settings.load(queue_url=SecretStr(url)).queue_url
        assert chosen is not None
        assert chosen.get_secret_value() == url

    @pytest.mark.parametrize("url", ["http://:s3cret@host", "redis:s3cret", "memory://s3cret", "s3cret"])
    def test_these_are_not_and_are_not_repeated(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEAVEBOT_QUEUE_URL", url)
        with pytest.raises(BadInput, match="WEAVEBOT_QUEUE_URL is not right: write redis://") as caught:
            settings.load()
        assert "s3cret" not in str(caught.value)

    def test_it_may_stand_in_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "url").write_text("amqp://me:s3cret@host:5672/\n")
        monkeypatch.setenv("WEAVEBOT_QUEUE_URL_FILE", str(tmp_path / "url"))
        chosen = settings.load().queue_url
        assert chosen is not None
        assert chosen.get_secret_value() == "amqp://me:s3cret@host:5672/"
        assert "s3cret" not in repr(settings.load())
