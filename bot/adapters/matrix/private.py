"""Files that hold a secret: readable by the owner alone, replaced in one step."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_OTHERS: Final = 0o077


def folder(path: Path) -> Path:
    """The folder, made if needed, closed to everybody else."""
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    path.chmod(FOLDER_MODE)
    return path


def write(path: Path, text: str) -> None:
    """Puts ``text`` in the place of what the file held; a crash leaves the old one or the new one, on the disk."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _settle(path.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()


def close(path: Path) -> None:
    """Makes sure that the file is there and that nobody else reads it; what it holds stays."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def loose(path: Path) -> str | None:
    """The file's mode (``0644``) when others may do something with it; None when it is closed or not there."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
    return f"{mode:04o}" if mode & _OTHERS else None


def _settle(where: Path) -> None:
    """The new name of a file outlives a power cut only when its folder is written too."""
    descriptor = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
