"""The work queue in this process keeps the promises of all of them."""

from __future__ import annotations

import pytest

from memory.adapters.local_queue import LocalQueue
from tests.contract.work_queue import TRIES, Opening, WorkQueueContract


class TestLocalQueue(WorkQueueContract):
    @pytest.fixture
    def open_queue(self) -> Opening:
        async def opened() -> LocalQueue:
            return LocalQueue(tries=TRIES)

        return opened
