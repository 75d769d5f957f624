"""The work queue on a real RabbitMQ."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.work_queue import Opening, SharedQueueContract
from tests.services.queues import Corner, corner_of

pytestmark = pytest.mark.services


@pytest.fixture
async def corner() -> AsyncIterator[Corner]:
    async with corner_of("rabbitmq") as found:
        yield found


class TestRabbitQueue(SharedQueueContract):
    @pytest.fixture
    def open_queue(self, corner: Corner) -> Opening:
        return corner.open
