"""A certificate authority of a test's own, and a door of TLS in front of a server."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.services.proxy import Proxy


def make_authority(folder: Path, host: str = "localhost") -> Path:
    """The authority, and a certificate for a host (``server.pem``, ``server.key``); gives the authority's file."""
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    signing = "-CA ca.pem -CAkey ca.key -CAcreateserial"
    steps = [
        f"req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority",
        f"req {key} -keyout server.key -out server.csr -subj /CN={host} -addext subjectAltName=DNS:{host}",
        f"x509 -req -in server.csr {signing} -out server.pem -days 2 -copy_extensions copy",
    ]
    for step in steps:
        subprocess.run(["openssl", *step.split()], cwd=folder, check=True, capture_output=True)
    return folder / "ca.pem"


@asynccontextmanager
async def door(folder: Path, host: str, port: int) -> AsyncIterator[int]:
    """TLS with the certificate in the folder, ended in front of a server that speaks none; gives its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    made = Proxy(host, port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        made.drop()
        await asyncio.sleep(0)
