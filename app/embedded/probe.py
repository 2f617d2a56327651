"""Whether a server answers: the opening of PostgreSQL's protocol, by hand.

A process that exists and a file that says "ready" are not enough to adopt a server that another process left behind,
and the service's driver lives in an event loop of its own.
"""

import socket
import struct
from pathlib import Path

from app.embedded.cluster import OWNER
from app.embedded.data_dir import PORT

_PROTOCOL_3 = 196608


def answers(socket_dir: Path, within_seconds: float) -> bool:
    """Whether the service's role can log in to its database there."""
    parameters = b"".join(part.encode() + b"\0" for part in ("user", OWNER, "database", OWNER)) + b"\0"
    startup = struct.pack("!ii", 8 + len(parameters), _PROTOCOL_3) + parameters
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(within_seconds)
            connection.connect(f"{socket_dir}/.s.PGSQL.{PORT}")
            connection.sendall(startup)
            with connection.makefile("rb") as stream:
                while True:
                    kind, length = struct.unpack("!ci", _exactly(stream.read(5), 5))
                    _exactly(stream.read(length - 4), length - 4)
                    if kind == b"Z":
                        connection.sendall(b"X\0\0\0\4")
                        return True
                    if kind == b"E":
                        return False
    except (OSError, EOFError):
        return False


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise EOFError
    return data
