"""Neo4j keeps the promises of a graph index, and what only a server promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.graph_index import GraphIndexContract
from tests.services.neo4j import RecordedIndex, open_index

pytestmark = pytest.mark.services


class TestNeo4jGraphIndex(GraphIndexContract):
    @pytest.fixture
    async def index(self) -> AsyncIterator[RecordedIndex]:
        async with open_index() as index:
            yield index
