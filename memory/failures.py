"""What may be said in a log about an error that nobody expected: a message's words may stand in what it says itself."""

from __future__ import annotations

import traceback
from pathlib import Path


def named(error: BaseException) -> str:
    """The error's type and the last line of our own code on its way, without what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or list(frames)
    at = f" in {Path(ours[-1].filename).name} line {ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{at}"
