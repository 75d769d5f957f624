"""Who vouches for a server that speaks TLS: the system's authorities, or those in a file that a setting names."""

from __future__ import annotations

import ssl
from pathlib import Path

from memory.errors import BadInput


def context_of(file: Path | None, setting: str) -> ssl.SSLContext:
    """A context that checks the server's certificate and name. Raises BadInput for a file without certificates.

    ``setting`` is the environment variable that names the file.
    """
    try:
        return ssl.create_default_context(cafile=None if file is None else str(file))
    except OSError as exc:
        raise BadInput(f"{setting} names {file}, which holds no certificates: write the path of a PEM file.") from exc


def is_distrusted(exc: BaseException | None) -> bool:
    """Whether something failed because a certificate is not vouched for, or is another host's."""
    while exc is not None:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False
