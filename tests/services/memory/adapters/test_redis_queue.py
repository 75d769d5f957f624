"""The work queue on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.work_queue import Opening, SharedQueueContract
from tests.services.queues import RedisCorner, redis_corner

pytestmark = pytest.mark.services


@pytest.fixture
async def corner() -> AsyncIterator[RedisCorner]:
    async with redis_corner() as found:
        yield found


class TestRedisQueue(SharedQueueContract):
    @pytest.fixture
    def open_queue(self, corner: RedisCorner) -> Opening:
        return corner.open
