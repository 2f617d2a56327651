"""Check whether a server answers, with the first messages of PostgreSQL's protocol.

To adopt a server that another process left behind, it is not enough that the process exists and that its pid file says
"ready". The service's own driver cannot be used, because it needs an event loop.
"""

import socket
import struct
from pathlib import Path

from app.embedded.cluster import OWNER
from app.embedded.data_dir import PORT

_PROTOCOL_3 = 196608


def answers(socket_dir: Path, within_seconds: float) -> bool:
    """Return whether the service's role can log in to its database there."""
    parameters = b"".join(part.encode() + b"\0" for part in ("user", OWNER, "database", OWNER)) + b"\0"
    startup = struct.pack("!ii", 8 + len(parameters), _PROTOCOL_3) + parameters
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(within_seconds)
            connection.connect(f"{socket_dir}/.s.PGSQL.{PORT}")
            connection.sendall(startup)
            with connection.makefile("rb") as stream:
                while True:
                    kind, length = struct.unpack("!ci", _require_size(stream.read(5), 5))
                    _require_size(stream.read(length - 4), length - 4)
                    if kind == b"Z":
                        connection.sendall(b"X\0\0\0\4")
                        return True
                    if kind == b"E":
                        return False
    except (OSError, EOFError):
        return False


def _require_size(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise EOFError
    return data
