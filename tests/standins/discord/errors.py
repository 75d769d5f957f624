"""Discord's JSON error codes, and the error that a handler raises.

https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from tests.standins.discord.state import Json

UNAUTHORIZED: Final = 0
UNKNOWN_CHANNEL: Final = 10003
UNKNOWN_GUILD: Final = 10004
UNKNOWN_MEMBER: Final = 10007
UNKNOWN_MESSAGE: Final = 10008
UNKNOWN_USER: Final = 10013
UNKNOWN_EMOJI: Final = 10014
UNKNOWN_WEBHOOK: Final = 10015
UNKNOWN_INTERACTION: Final = 10062
UNKNOWN_COMMAND: Final = 10063
TOO_MANY_REACTIONS: Final = 30010
TOO_LARGE: Final = 40005
ACKNOWLEDGED: Final = 40060
MISSING_ACCESS: Final = 50001
NOT_THE_AUTHOR: Final = 50005
EMPTY_MESSAGE: Final = 50006
CANNOT_WRITE_TO_USER: Final = 50007
MISSING_PERMISSIONS: Final = 50013
WRONG_COUNT_TO_DELETE: Final = 50016
INVALID_WEBHOOK_TOKEN: Final = 50027
TOO_OLD_TO_DELETE: Final = 50034
INVALID_FORM_BODY: Final = 50035
THREAD_EXISTS: Final = 160004

_WORDS: Final = MappingProxyType(
    {
        UNAUTHORIZED: (401, "401: Unauthorized"),
        UNKNOWN_CHANNEL: (404, "Unknown Channel"),
        UNKNOWN_GUILD: (404, "Unknown Guild"),
        UNKNOWN_MEMBER: (404, "Unknown Member"),
        UNKNOWN_MESSAGE: (404, "Unknown Message"),
        UNKNOWN_USER: (404, "Unknown User"),
        UNKNOWN_EMOJI: (400, "Unknown Emoji"),
        UNKNOWN_WEBHOOK: (404, "Unknown Webhook"),
        UNKNOWN_INTERACTION: (404, "Unknown interaction"),
        UNKNOWN_COMMAND: (404, "Unknown application command"),
        TOO_MANY_REACTIONS: (400, "Maximum number of reactions reached (20)"),
        TOO_LARGE: (413, "Request entity too large"),
        ACKNOWLEDGED: (400, "Interaction has already been acknowledged."),
        MISSING_ACCESS: (403, "Missing Access"),
        NOT_THE_AUTHOR: (403, "Cannot edit a message authored by another user"),
        EMPTY_MESSAGE: (400, "Cannot send an empty message"),
        CANNOT_WRITE_TO_USER: (403, "Cannot send messages to this user"),
        MISSING_PERMISSIONS: (403, "Missing Permissions"),
        WRONG_COUNT_TO_DELETE: (
            400,
            "Provided too few or too many messages to delete. Must provide at least 2 and fewer than 100.",
        ),
        INVALID_WEBHOOK_TOKEN: (401, "Invalid Webhook Token"),
        TOO_OLD_TO_DELETE: (400, "You can only bulk delete messages that are under 14 days old."),
        INVALID_FORM_BODY: (400, "Invalid Form Body"),
        THREAD_EXISTS: (400, "A thread has already been created for this message"),
    }
)


class Refused(Exception):
    """A request that Discord would not carry out, by its JSON error code; ``errors`` names the fields."""

    def __init__(self, code: int, errors: Json | None = None) -> None:
        self.status, self.words = _WORDS[code]
        super().__init__(self.words)
        self.code = code
        self.errors = errors

    def body(self) -> Json:
        """The JSON that goes with it."""
        body: Json = {"message": self.words, "code": self.code}
        return body if self.errors is None else body | {"errors": self.errors}


def invalid(field: str, code: str, words: str) -> Refused:
    """50035 for one field; ``field`` may be a path such as ``options.0.name``."""
    errors: Json = {"_errors": [{"code": code, "message": words}]}
    for name in reversed(field.split(".")):
        errors = {name: errors}
    return Refused(INVALID_FORM_BODY, errors)


def too_long(field: str, most: int) -> Refused:
    """50035 for a text that is too long."""
    return invalid(field, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")


def bad_length(field: str, least: int, most: int) -> Refused:
    """50035 for a text whose length is out of bounds."""
    return invalid(field, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
