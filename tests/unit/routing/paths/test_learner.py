"""Path values of a team: learned from its votes, exact, kept in SQL and a mapped file, rebuilt when that is spoiled."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from structlog.testing import capture_logs

from memory.models import Person, Room
from routing.paths.abstract import ANY
from routing.paths.learner import PathLearner, PathModel
from routing.paths.qlearning import path_return
from routing.paths.snapshots import LEARNER, Snapshot
from routing.tables import citations, learner_snapshots
from tests.doubles import START
from tests.parts import Memory, open_memory

TALK = (
    ("Ana", "Hive 4. Hive 4 stands on the Oak Meadow since spring"),
    ("Ben", "Oak Meadow: Oak Meadow belongs to Mr Lind, who wants two jars a year"),
    ("Cleo", "the extractor is broken again, Ben"),
    ("Ana", "Red Queen. The Red Queen lives in Hive 4"),
    ("Ben", "honey stays at six euros a jar"),
)
QUESTIONS = ("Who owns the meadow where Hive 4 stands?", "Where does the Red Queen live?", "What is broken?")


@pytest.fixture
async def asked(memory: Memory, room: Room) -> list[str]:
    """The ids of three answers of the documents route."""
    await memory.say(room, *TALK)
    scope = memory.scope(room)
    return [(await memory.shuttle.weave(q, scope, route="documents", seed=1)).id for q in QUESTIONS]


async def voter(memory: Memory, name: str = "zoe") -> Person:
    return await memory.directory.person(memory.tenant, name, name.title())


def another(memory: Memory, folder: Path | None = None) -> PathLearner:
    return PathLearner(memory.database, memory.learner, memory.clock, folder)


async def fresh_state(memory: Memory) -> dict[str, tuple[float, float]]:
    """What somebody learns who starts from the rows alone."""
    return await another(memory).state(memory.tenant)


class TestLearning:
    async def test_before_any_vote_nothing_is_known(self, memory: Memory, asked: list[str]) -> None:
        del asked
        assert await memory.paths.model(memory.tenant) == PathModel(
            version=(await memory.paths.model(memory.tenant)).version
        )

    async def test_a_vote_counts_for_the_paths_to_what_was_cited(self, memory: Memory, asked: list[str]) -> None:
        await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory), "👍")
        model = await memory.paths.model(memory.tenant)
        assert 0 < model.total <= 1
        assert all(0.5 < liked <= 1 for liked in model.liked.values())
        assert any(path[0] == "hit" for path in model.evidence)

    async def test_a_pick_teaches_what_tells_it_from_what_stood_above(self, memory: Memory, asked: list[str]) -> None:
        person = await voter(memory)
        await memory.shuttle.vote(memory.tenant, asked[0], person, "2️⃣")
        model = await memory.paths.model(memory.tenant)
        assert model.weights.worth
        assert model.total == pytest.approx(1.5, abs=0.02)

    async def test_the_value_starts_optimistic_and_follows_the_votes(self, memory: Memory, asked: list[str]) -> None:
        before = PathModel().value(("hit", "mentions", "~about"))
        assert before == path_return(2, 1.0)
        await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory), "👎")
        model = await memory.paths.model(memory.tenant)
        assert all(model.value(path) < path_return(len(path) - 1, 1.0) for path in model.evidence)


class TestExactness:
    async def test_what_is_taken_back_leaves_nothing(self, memory: Memory, asked: list[str]) -> None:
        person = await voter(memory)
        await memory.shuttle.vote(memory.tenant, asked[0], person, "👍")
        before = await memory.paths.state(memory.tenant)
        await memory.shuttle.vote(memory.tenant, asked[1], person, "👎")
        await memory.shuttle.vote(memory.tenant, asked[0], person, "1️⃣")
        assert await memory.paths.state(memory.tenant) != before
        await memory.shuttle.vote(memory.tenant, asked[0], person, "1️⃣", remove=True)
        await memory.shuttle.vote(memory.tenant, asked[1], person, "👎", remove=True)
        assert await memory.paths.state(memory.tenant) == before

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from("👍 👎 ⭐ 1️⃣ 2️⃣ 🤷".split()), st.integers(0, 2), st.booleans()),
            max_size=14,
        )
    )
    @pytest.mark.embedded
    async def test_after_any_interleaving_the_live_state_is_that_of_the_log(
        self, memory: Memory, asked: list[str], steps: list[tuple[int, str, int, bool]]
    ) -> None:
        for answer, emoji, who, remove in steps:
            person = await voter(memory, ("zoe", "yan", "xia")[who])
            await memory.shuttle.vote(memory.tenant, asked[answer], person, emoji, remove=remove)
            await memory.paths.model(memory.tenant)
        live, rebuilt = await memory.paths.state(memory.tenant), await fresh_state(memory)
        assert live.keys() == rebuilt.keys()
        for pair, counted in live.items():
            assert counted == pytest.approx(rebuilt[pair], abs=1e-8)
        model, other = await memory.paths.model(memory.tenant), await another(memory).model(memory.tenant)
        assert model.weights.worth == pytest.approx(other.weights.worth, abs=1e-8)
        assert await memory.paths.recompute(memory.tenant) <= 1e-8

    async def test_an_erased_message_takes_its_evidence_along(
        self, memory: Memory, room: Room, asked: list[str]
    ) -> None:
        await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory), "👍")
        before = await memory.paths.state(memory.tenant)
        await memory.journal.delete(room, "e2", START)
        after = await memory.paths.state(memory.tenant)
        assert after != before
        assert after == await fresh_state(memory)


class TestKeeping:
    async def test_a_start_with_a_fitting_snapshot_reads_no_votes(
        self, memory: Memory, asked: list[str], tmp_path: Path
    ) -> None:
        await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory), "2️⃣")
        assert await memory.paths.recompute(memory.tenant) == 0
        file = tmp_path / "learning" / "paths-1.bin"
        assert file.exists()
        again = another(memory, tmp_path / "learning")
        assert await again.model(memory.tenant) == await memory.paths.model(memory.tenant)
        assert again._lessons[memory.tenant].items is None

    async def test_a_snapshot_of_older_votes_is_not_used(self, memory: Memory, asked: list[str]) -> None:
        await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory), "2️⃣")
        await memory.paths.recompute(memory.tenant)
        await memory.shuttle.vote(memory.tenant, asked[1], await voter(memory), "👍")
        assert await another(memory).state(memory.tenant) == await memory.paths.state(memory.tenant)

    async def test_a_spoiled_file_is_set_aside_rebuilt_and_said(
        self, memory: Memory, asked: list[str], tmp_path: Path
    ) -> None:
        await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory), "2️⃣")
        await memory.paths.recompute(memory.tenant)
        file = tmp_path / "learning" / "paths-1.bin"
        file.write_bytes(b"nonsense" * 30)
        with capture_logs() as logs:
            again = another(memory, tmp_path / "learning")
            assert await again.state(memory.tenant) == await memory.paths.state(memory.tenant)
        assert [entry["event"] for entry in logs] == ["paths.set_aside", "paths.rebuilt"]
        assert file.with_suffix(".1.aside").exists()
        assert file.stat().st_size > 64

    async def test_a_spoiled_snapshot_is_said_and_rebuilt_from_the_votes(
        self, memory: Memory, asked: list[str]
    ) -> None:
        await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory), "👍")
        await memory.paths.recompute(memory.tenant)
        async with memory.database.write() as conn:
            await conn.execute(learner_snapshots.update().values(state=b"nonsense"))
        with capture_logs() as logs:
            assert await another(memory).state(memory.tenant) == await memory.paths.state(memory.tenant)
        assert [entry["event"] for entry in logs] == ["paths.snapshot_unusable"]

    async def test_without_votes_no_file_is_made(self, memory: Memory, asked: list[str], tmp_path: Path) -> None:
        await memory.paths.model(memory.tenant)
        assert asked
        assert not (tmp_path / "learning").exists()

    async def test_where_no_file_can_be_written_learning_goes_on_and_says_so(
        self, memory: Memory, asked: list[str], tmp_path: Path
    ) -> None:
        await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory), "2️⃣")
        await memory.paths.recompute(memory.tenant)
        (tmp_path / "taken").write_text("a file where the folder should be")
        for vote in (None, "👍"):
            if vote is not None:
                await memory.shuttle.vote(memory.tenant, asked[1], await voter(memory), vote)
            with capture_logs() as logs:
                found = await another(memory, tmp_path / "taken").state(memory.tenant)
            assert found == await memory.paths.state(memory.tenant)
            assert "paths.no_file" in [entry["event"] for entry in logs]

    async def test_two_processes_on_one_folder_agree(
        self, memory: Memory, asked: list[str], tmp_path: Path, database_url: str | None
    ) -> None:
        async with open_memory(tmp_path, database_url) as other:
            for who, emoji in (("zoe", "👍"), ("yan", "2️⃣"), ("xia", "👎")):
                await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory, who), emoji)
                assert await other.paths.state(other.tenant) == await memory.paths.state(memory.tenant)
                await other.paths.recompute(other.tenant)
                await memory.paths.recompute(memory.tenant)
        assert await another(memory, tmp_path / "learning").state(memory.tenant) == await fresh_state(memory)

    async def test_what_is_kept_names_nobody_and_quotes_nothing(
        self, memory: Memory, asked: list[str], tmp_path: Path
    ) -> None:
        await memory.shuttle.vote(memory.tenant, asked[0], await voter(memory), "👍")
        await memory.paths.recompute(memory.tenant)
        async with memory.database.read() as conn:
            state = (
                await conn.execute(select(learner_snapshots.c.state).where(learner_snapshots.c.learner == LEARNER))
            ).scalar_one()
            features = [row.features for row in await conn.execute(select(citations.c.features))]
        snapshot = Snapshot.from_bytes(state)
        assert snapshot is not None
        held = " ".join([*snapshot.tally, *(name for each in features for name in each)])
        held += "".join(str(each.read_bytes()) for each in (tmp_path / "learning").iterdir())
        assert f"{ANY}|message|hit" in held
        for word in ("Ana", "ana", "Hive", "hive", "Meadow", "meadow", "Zoe"):
            assert word not in held
