"""One process owns a data folder; the others reach it over its socket.

The lock is the kernel's (``flock`` on ``owner.lock``), so that it goes with the process, also on kill -9, and never
stays behind. ``run``, ``chat`` and the long commands serve a 0600 Unix socket while they hold it; a short command does
not, and whoever comes meanwhile waits the moment it takes. Only a second ``run`` or ``chat`` is refused.

Several folders, each with its owner, may share one PostgreSQL: what only one of them may do is claimed there, under the
folder's name (`identity`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TypeAlias

from memory.errors import Refused, Unavailable

LOCK = "owner.lock"
SOCKET = "owner.sock"
IDENTITY = "owner.id"
NAME = 32  # letters of an identity
LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes on Linux and 104 on macOS, with its closing NUL
GREETING = b"weavebot 1\n"  # the first line from an owner, with the version of what is spoken
PAUSE = 0.05  # seconds between two tries for a lock that is held
PATIENCE = 1.0  # seconds before a waiting command says for whom it waits


@dataclass(frozen=True, slots=True)
class Card:
    """Who holds a data folder. ``lasting`` is True for ``run`` and ``chat``, which stay until they are told to stop."""

    pid: int
    command: str
    since: str
    lasting: bool = False
    socket: str | None = None

    def words(self) -> str:
        """The holder in words."""
        return f"'weavebot {self.command}' (process {self.pid}, since {self.since})"


class Claim:
    """The lock on a data folder, held until ``release``."""

    def __init__(self, folder: Path, handle: IO[bytes], card: Card) -> None:
        self.folder = folder
        self.card = card
        self._handle = handle
        self._write(card)

    def announce(self, socket: Path) -> None:
        """Tells the others where the owner's socket is."""
        self.card = replace(self.card, socket=str(socket))
        self._write(self.card)

    def release(self) -> None:
        """Gives the folder back. The file stays: removing it would let two processes lock two files."""
        with contextlib.suppress(OSError):  # a full disk must not keep us from letting go
            os.truncate(self._handle.fileno(), 0)
        self._handle.close()

    def _write(self, card: Card) -> None:
        told = json.dumps(asdict(card)).encode()
        with contextlib.suppress(OSError):  # the card informs; the lock is what counts
            os.pwrite(self._handle.fileno(), told, 0)  # at once, so that nobody reads half of it
            os.truncate(self._handle.fileno(), len(told))


def prepare_folder(folder: Path) -> Path:
    """The data folder as an absolute path, closed to others when it is new, empty or ours.

    The mode of a folder that holds other things stays as it is: it may be somebody's home. Nobody gains a right: a
    folder that was made read-only stays so. Raises Refused when it cannot be used.
    """
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / LOCK).exists() or not any(folder.iterdir()):
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) & 0o700)
    except FileExistsError as exc:
        raise Refused(f"The data folder {folder} is a file; choose another with --data.") from exc
    except OSError as exc:
        raise Refused(
            f"The data folder {folder} cannot be used ({exc.strerror}); make it writable or choose another with --data."
        ) from exc
    return folder


def identity(folder: Path) -> str:
    """The name, of 32 letters, under which the owner of a folder works on a database that several folders share.

    Raises Refused when it cannot be kept.
    """
    file = folder / IDENTITY
    try:
        with contextlib.suppress(FileNotFoundError):
            known = file.read_text(encoding="ascii").strip()
            if len(known) == NAME:
                return known
        made = secrets.token_hex(NAME // 2)
        file.write_text(made + "\n", encoding="ascii")
    except (OSError, ValueError) as exc:
        raise Refused(f"The name of the data folder cannot be kept in {file}; make it writable for you.") from exc
    return made


def take(folder: Path, card: Card) -> Claim | None:
    """The lock on a folder, or None when another process holds it. Raises Refused when the folder is read-only."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise Refused(
            f"The data folder {folder} cannot be written ({exc.strerror}); make it writable for you, free some space, "
            "or choose another with --data."
        ) from exc
    handle = os.fdopen(descriptor, "r+b")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return Claim(folder, handle, card)


def holder(folder: Path) -> Card | None:
    """What the last holder said about itself; None while it is being written, or when nobody ever did."""
    try:
        told = json.loads((folder / LOCK).read_bytes())
        return Card(**told)
    except (OSError, ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Link:
    """A connection to the owner of a folder."""

    card: Card
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def reach(folder: Path, card: Card, *, frame: int, on_wait: Callable[[Card], None]) -> Claim | Link:
    """The lock on the folder, or a connection to the process that has it; waits for a short command to end.

    ``frame`` is the longest line that is read, in bytes; ``on_wait`` is told, once, for whom it waits. Raises Refused
    when ``card`` is a lasting one and so is the holder.
    """
    waited = 0.0
    told = False
    while True:
        claim = take(folder, card)
        if claim is not None:
            return claim
        other = holder(folder)
        if other is not None and card.lasting and other.lasting:
            raise Refused(
                f"{other.words()} already uses {folder}; stop it first, or start this one with another --data."
            )
        if other is not None and other.socket and not card.lasting:
            with contextlib.suppress(OSError):  # it is just starting or just ending
                reader, writer = await asyncio.open_unix_connection(other.socket, limit=frame)
                if await reader.readline() == GREETING:  # else it was just ending: it accepted, but will not serve
                    return Link(other, reader, writer)
                writer.close()
        if other is not None and waited >= PATIENCE and not told:
            on_wait(other)
            told = True
        await asyncio.sleep(PAUSE)
        waited += PAUSE


def socket_path(folder: Path) -> Path:
    """Where the owner's socket goes: into the folder, or, when that path is too long for the system, into a short one.

    Raises Refused when the short folder belongs to somebody else.
    """
    inside = folder / SOCKET
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16] + ".sock"
    for root in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - the 0700 folder made below is checked to be ours
        short = Path(root) / f"weavebot-{os.getuid()}"
        if len(os.fsencode(short / name)) <= LONGEST_SOCKET_PATH:
            break
    with contextlib.suppress(FileExistsError):
        short.mkdir(mode=0o700)
    if not _is_mine(short) or short.is_symlink() or stat.S_IMODE(short.stat().st_mode) & 0o077:
        raise Refused(f"{short} is not a folder of yours alone; remove it, or choose a shorter --data.")
    return short / name


def _is_mine(path: Path) -> bool:
    return path.lstat().st_uid == os.getuid()


Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(claim: Claim, handler: Handler, *, frame: int) -> AsyncIterator[Path]:
    """Serves the socket of a claimed folder: 0600, a stale file of a killed owner replaced, removed at the end."""
    path = socket_path(claim.folder)
    path.unlink(missing_ok=True)  # we hold the lock: whoever made it is gone
    before = os.umask(0o177)  # the socket is 0600 from its first moment
    try:
        server = await asyncio.start_unix_server(handler, path=path, limit=frame)
    except OSError as exc:
        raise Unavailable(
            f"The owner's socket {path} cannot be opened ({exc.strerror}); choose another --data."
        ) from exc
    finally:
        os.umask(before)
    claim.announce(path)
    try:
        yield path
    finally:
        server.close()
        path.unlink(missing_ok=True)
