"""Matrix as a chat platform: one account of ours, in all rooms that it was invited to."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from bot.adapters.matrix.accounts import CRYPTO, Account
from bot.adapters.matrix.client import open_client
from bot.adapters.matrix.decoding import label_in, versions
from bot.adapters.matrix.direct import DirectRooms
from bot.adapters.matrix.health import health_page
from bot.adapters.matrix.homeserver import Homeserver
from bot.adapters.matrix.invitations import Invitations
from bot.adapters.matrix.locks import Locks
from bot.adapters.matrix.lookups import Lookups
from bot.adapters.matrix.past import MOST, Past
from bot.adapters.matrix.permalinks import Permalinks
from bot.adapters.matrix.reading import Parts, Reader
from bot.adapters.matrix.rooms import PLATFORM, Rooms
from bot.adapters.matrix.sending import Sender
from bot.adapters.matrix.standing import Standing
from bot.adapters.matrix.syncing import SyncLoop
from bot.adapters.matrix.timing import Pulse, Timing
from bot.models import Capabilities, ChatEvent, Place, Reply
from bot.pages import Page
from bot.ports import Notebook
from memory.errors import NotFound, Refused, Rejected, Unavailable, WeavebotError
from memory.ports import Clock

CAPABILITIES: Final = Capabilities(
    threads=True,
    files=True,
    edits=True,
    hint="React 👍 👎 or ⭐: it trains the routing in this room. `{prefix} why` explains.",
)
DUPLICATE: Final = "M_DUPLICATE_ANNOTATION"
TYPING: Final = 30_000  # milliseconds that the homeserver shows it at most


class MatrixPort:
    """One account."""

    platform = PLATFORM
    capabilities = CAPABILITIES

    def __init__(
        self,
        account: Account,
        folder: Path,
        notebook: Notebook,
        clock: Clock,
        *,
        allow: Sequence[str] = (),
        timing: Timing | None = None,
        most: int = MOST,
    ) -> None:
        """``folder`` holds the account's keys; ``allow`` names who may invite; ``most`` bounds a gap that is filled."""
        waits = timing or Timing()
        self.account = account
        self._timing = waits
        self._client = client = open_client(account, folder)
        self._homeserver = homeserver = Homeserver(client)
        pulse = Pulse()
        self._rooms = rooms = Rooms(client, account.user_id)
        direct = DirectRooms(homeserver, client, pulse, waits, me=account.user_id)
        self._invitations = Invitations(homeserver, notebook, clock, me=account.user_id, allow=allow)
        self._locks = Locks(client, folder / CRYPTO, notebook, clock, waits)
        parts = Parts(
            client=client,
            rooms=rooms,
            past=Past(homeserver, waits, most=most),
            lookups=Lookups(homeserver, notebook, waits, self._locks.readable),
            invitations=self._invitations,
            direct=direct,
            standing=Standing(homeserver, rooms, notebook, clock, waits),
            locks=self._locks,
            notebook=notebook,
            clock=clock,
        )
        reader = Reader(parts, me=account.user_id)
        self._loop = SyncLoop(client, reader, notebook, clock, pulse, waits, begin=self._begin)
        permalinks = Permalinks(rooms, notebook, me=account.user_id)
        self._sender = Sender(client, rooms, direct, permalinks, pulse, waits)

    @property
    def team(self) -> str:
        """Our account: the rooms of another account of ours are another team's."""
        return self.account.user_id

    async def events(self) -> AsyncIterator[Sequence[ChatEvent]]:
        """What happens in the rooms. Raises Unavailable when the homeserver no longer takes our token."""
        try:
            async for batch in self._loop.batches():
                yield batch
        except Rejected as exc:
            raise Unavailable(str(exc)) from exc

    async def send(self, reply: Reply, *, transaction: str) -> str:
        """Posts a reply as a notice. Raises Unavailable, Refused."""
        return await self._sender.send(reply, transaction)

    async def mark(self, place: Place, event_id: str, emoji: str) -> bool:
        """A reaction of ours; the same one twice is refused, and is there already."""
        relation = {"rel_type": "m.annotation", "event_id": event_id, "key": emoji}
        path = ("rooms", place.room, "send", "m.reaction", f"weave-mark-{event_id}")
        try:
            await self._homeserver.ask("PUT", *path, body={"m.relates_to": relation})
        except NotFound:
            return False
        except Rejected as exc:
            return DUPLICATE in str(exc)
        return True

    async def busy(self, place: Place, *, on: bool) -> None:
        """Typing, or not any more."""
        body = {"typing": on, "timeout": TYPING} if on else {"typing": on}
        with contextlib.suppress(WeavebotError):
            await self._homeserver.ask("PUT", "rooms", place.room, "typing", self.account.user_id, body=body)

    async def may_read(self, room: str, person: str) -> bool:
        """Whether that person has joined a room that we are in; the homeserver is asked, for it alone knows now."""
        if room not in self._rooms:
            return False
        try:
            state = await self._homeserver.ask("GET", "rooms", room, "state", "m.room.member", person)
        except WeavebotError:
            return False
        return state.get("membership") == "join"

    async def shown_in(self, place: Place, event_id: str) -> str | None:
        """The label of a message of ours: of its newest text, when it was edited."""
        try:
            source = await self._homeserver.ask("GET", "rooms", place.room, "event", event_id)
        except WeavebotError:
            return None
        if source.get("sender") != self.account.user_id:
            return None
        told = [label_in(self._locks.readable(place.room, one)) for one in versions(source)]
        return next((one for one in told if one), None)

    async def health(self, room: str | None = None) -> Page:
        """How the account is."""
        shown = health_page(self.account, self._rooms, self._loop.state, self._invitations, room)
        return (*shown, *await self._locks.page(room))

    async def close(self) -> None:
        """Leaves the homeserver; the account stays logged in."""
        await self._client.close()

    async def _begin(self) -> None:
        """Whether we are who we think we are, and our identity."""
        said = await self._homeserver.ask("GET", "account", "whoami", seconds=self._timing.ready)
        if said.get("user_id") != self.account.user_id:
            raise Refused(f"the token of {self.account.user_id} belongs to another account; log in again")
        await self._locks.prepare()
