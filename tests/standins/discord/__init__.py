"""A local Discord for tests: gateway and REST that the real discord.py speaks to. See docs/discord-stand-in.md."""

from tests.standins.discord.limits import Limits
from tests.standins.discord.offers import NotOffered
from tests.standins.discord.people import Invocation, Person, Place, Server
from tests.standins.discord.permissions import EVERYONE, Permission
from tests.standins.discord.server import Discord, running
from tests.standins.discord.state import Message

__all__ = [
    "EVERYONE",
    "Discord",
    "Invocation",
    "Limits",
    "Message",
    "NotOffered",
    "Permission",
    "Person",
    "Place",
    "Server",
    "running",
]
