"""Whether a message is meant for the bot."""

from __future__ import annotations


def addressed(text: str, prefix: str) -> str | None:
    """What follows the prefix, when the message starts with it as a word of its own; else None."""
    start = text.lstrip()
    if start[: len(prefix)].lower() != prefix.lower():
        return None
    after = start[len(prefix) :]
    return after.strip() if not after or after[0].isspace() else None
