"""The library's errors as ours, and what follows from them: when we stop, rest, or stay out of a channel."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import discord
import structlog

from bot.adapters.discord.budget import Budget
from memory.errors import NotFound, Refused, Unavailable

BAD_CREDENTIAL: Final = (
    "Discord does not take the bot's token; make a new one in the developer portal (Bot, Reset Token) "
    "and put it into WEAVEBOT_DISCORD_TOKEN."
)
INTENT: Final = (
    "Discord does not let this bot read messages: switch on Message Content Intent in the developer portal (Bot, "
    "Privileged Gateway Intents), or set WEAVEBOT_DISCORD_MEMORY=mentions to live without it."
)
SHARDS: Final = (
    "Discord wants this bot to have more shards: leave WEAVEBOT_DISCORD_SHARD_COUNT empty, or raise it everywhere."
)
CLOSED_FOR: Final = 3600.0  # seconds that a channel which refused us is left alone
REST: Final = 60.0  # seconds of silence when something in front of Discord sends us away without saying for how long
UNKNOWN_MESSAGE: Final = 10008
TOO_LATE: Final = frozenset({10062, 10015, 50027})  # an interaction, its webhook or its token is over

log = structlog.get_logger(__name__)


class LoggedOut(Unavailable):
    """The account is over until somebody mends it."""


class Gone(NotFound):
    """The message or interaction is not there any more."""


@dataclass(slots=True)
class Standing:
    """How we stand with Discord: ``ended`` why for good, ``closed`` channels that refused us, and until when."""

    budget: Budget
    ended: str = ""
    closed: dict[int, float] = field(default_factory=dict)

    def check(self, channel: int | None = None) -> None:
        """Raises LoggedOut, Unavailable or Refused when a request would be in vain."""
        if self.ended:
            raise LoggedOut(self.ended)
        if (wait := self.budget.wait) > 0:
            raise Unavailable(f"Discord has refused too much of late; the next request goes out in {wait:.0f} s")
        if channel is not None and self.is_closed(channel):
            raise Refused("I may not write in that channel; give me the permissions View Channel and Send Messages")

    def is_closed(self, channel: int) -> bool:
        """Whether a channel has refused us lately."""
        return self.closed.get(channel, 0.0) > time.monotonic()

    def reopen(self, channel: int | None = None) -> None:
        """Permissions have changed: of a channel, or somewhere."""
        if channel is None:
            self.closed.clear()
        else:
            self.closed.pop(channel, None)

    @contextlib.contextmanager
    def translated(self, channel: int | None = None) -> Iterator[None]:
        """Raises LoggedOut, Gone, Refused or Unavailable in place of the library's errors."""
        try:
            yield
        except discord.RateLimited as exc:
            raise Unavailable(f"Discord limits our rate; it goes out in {exc.retry_after:.0f} s or later") from exc
        except discord.HTTPException as exc:
            raise self._meant(exc, channel) from exc
        except (OSError, TimeoutError, aiohttp.ClientError, discord.GatewayNotFound) as exc:
            raise Unavailable("Discord cannot be reached now") from exc
        except (RuntimeError, AttributeError) as exc:
            if "closed" not in str(exc).lower() and "MISSING" not in str(exc) and "request" not in str(exc):
                raise
            raise Unavailable("the connection to Discord is not open now") from exc  # not yet logged in, or closed

    def _meant(self, exc: discord.HTTPException, channel: int | None) -> Exception:  # noqa: PLR0911 - one each status
        if exc.code in TOO_LATE:
            return Gone("that command was given too long ago to be answered there")
        match exc.status:
            case 401:
                self.ended = BAD_CREDENTIAL
                return LoggedOut(BAD_CREDENTIAL)
            case 403:
                if channel is not None:
                    self.closed[channel] = time.monotonic() + CLOSED_FOR
                    log.warning("discord.channel_closed", channel=channel, code=exc.code)
                return Refused(f"Discord does not allow that ({exc.text or exc.code})")
            case 404:
                return Gone("that message is gone") if exc.code == UNKNOWN_MESSAGE else Refused("that channel is gone")
            case 429:
                self.budget.rest(_seconds(exc))
                return Unavailable("Discord has sent us away for a while")
            case status if status >= 500:  # noqa: PLR2004 - server errors
                return Unavailable(f"Discord fails (HTTP {status})")
        return Refused(f"Discord does not take it (HTTP {exc.status}, code {exc.code})")


def why_ended(exc: BaseException) -> str | None:
    """What to tell when the client ended for good; None when trying again may help."""
    if isinstance(exc, discord.LoginFailure):
        return BAD_CREDENTIAL
    if isinstance(exc, discord.PrivilegedIntentsRequired):
        return INTENT
    if isinstance(exc, discord.ConnectionClosed):
        known = {4004: BAD_CREDENTIAL, 4014: INTENT, 4010: SHARDS, 4011: SHARDS}
        return known.get(
            exc.code, f"Discord closed the connection for good (code {exc.code}); the log has the details."
        )
    return None


def _seconds(exc: discord.HTTPException) -> float:
    headers = getattr(exc.response, "headers", {})
    try:
        return max(1.0, float(headers.get("Retry-After", REST)))
    except ValueError:
        return REST
