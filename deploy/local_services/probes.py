"""Whether a server answers, asked in its own protocol."""

from __future__ import annotations

import http.client
import socket

_TIMEOUT = 2.0
_BOLT = bytes.fromhex("6060b017" + "00000405" + "00000004" + "00000003" + "00000000")
"""The magic number and four versions offered (Bolt 5.4, 4.0, 3.0, none)."""
_STARTUP = b"\x00\x03\x00\x00" + b"user\0weavebot\0database\0weavebot\0\0"
"""Version 3.0 of the protocol, and who wants what."""


def bolt(port: int) -> bool:
    """Neo4j agrees on a version of Bolt."""
    return any(_told(port, _BOLT, 4))


def postgres(port: int) -> bool:
    """PostgreSQL asks for the password; one that is starting, or recovering from a crash, says that it is."""
    return _told(port, (len(_STARTUP) + 4).to_bytes(4, "big") + _STARTUP, 1) == b"R"


def redis(port: int) -> bool:
    """Redis answers the PING of a user who may do nothing else; one that is loading its data says that it is."""
    return _told(port, b"AUTH probe any\r\nPING\r\n", 6) == b"+OK\r\n+"


def amqp(port: int) -> bool:
    """RabbitMQ opens a conversation: a method frame on channel 0."""
    return _told(port, b"AMQP\x00\x00\x09\x01", 3) == b"\x01\x00\x00"


def synapse(port: int) -> bool:
    """Synapse says that it is well."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _told(port: int, words: bytes, length: int) -> bytes:
    """The first bytes of the answer; empty when there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as link:
            link.sendall(words)
            return link.recv(length)
    except OSError:
        return b""
