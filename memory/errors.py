"""Everything that can go wrong below the chat.

::

    WeavebotError
    ├── NotFound          there is no such room, person, message, answer
    │   └── Ambiguous     a name fits several; the message lists the ids
    ├── Rejected          the input cannot be taken as it is
    │   ├── BadInput      a line, an argument or a message that is malformed
    │   ├── Refused       not allowed, or it would harm (a newer data folder, a second owner)
    │   └── ModelMismatch the embedding model is not the one that made the stored vectors
    └── Unavailable       a part that is needed does not answer now; trying again may help
        ├── Contended     another transaction was in the way; nothing of this one was kept
        └── Unreachable   the database server cannot be reached, went away in the middle, or takes too long

The message of each is one sentence that says what to do; ``bot.errors`` turns the class into the words of a
room and an exit status. Adapters translate their library's errors ``from exc``.
"""


class WeavebotError(Exception):
    """Root of the tree; never raised itself."""


class NotFound(WeavebotError):
    """Something was named that is not there."""


class Ambiguous(NotFound):
    """A name fits more than one."""


class Rejected(WeavebotError):
    """The input cannot be taken as it is."""


class BadInput(Rejected):
    """Malformed input."""


class Refused(Rejected):
    """Not allowed, or it would harm."""


class ModelMismatch(Rejected):
    """The model differs from the one that made the stored vectors."""


class Unavailable(WeavebotError):
    """A part that is needed does not answer now."""


class Contended(Unavailable):
    """Another transaction was in the way and the database took this one back, whole: the call may be made again."""


class Unreachable(Unavailable):
    """The database server cannot be reached, or went away: whether the last commit was kept is not known."""
