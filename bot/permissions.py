"""Who may do what, where."""

from __future__ import annotations

from bot.models import Actor, Role
from memory.errors import Refused

WORDS = {Role.MEMBER: "members", Role.MODERATOR: "moderators", Role.ADMIN: "admins"}


def require(actor: Actor, role: Role, deed: str) -> None:
    """Raises Refused, saying who may, when the actor's role in the room is too low for the deed."""
    if actor.role < role:
        raise Refused(f"Only the room's {WORDS[role]} may {deed}; ask one of them.")
