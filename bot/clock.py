"""The clock of a running process; everything else takes a ``Clock``."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The time of the machine."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.fromtimestamp(time.time(), UTC)
