"""The work queue on a real RabbitMQ."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.work_queue import Opening, SharedQueueContract
from tests.services.queues import RabbitCorner, rabbit_corner

pytestmark = pytest.mark.services


@pytest.fixture
async def corner() -> AsyncIterator[RabbitCorner]:
    async with rabbit_corner() as found:
        yield found


class TestRabbitQueue(SharedQueueContract):
    @pytest.fixture
    def open_queue(self, corner: RabbitCorner) -> Opening:
        return corner.open
