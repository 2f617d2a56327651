"""How long the database may be silent. Its own timeouts end a statement only while it can talk to us.

A host that died, a frozen server or a router that forgot the connection sends neither an answer nor an end, and TCP
alone would wait for a quarter of an hour.
"""

import asyncio
import contextlib
import socket
from typing import Any, Final

import asyncpg

STATEMENT_TIMEOUT_SECONDS: Final = 5.0
"""The server's own limit for a statement."""
ANSWER_SECONDS = STATEMENT_TIMEOUT_SECONDS + 2.0
"""How long a statement may go without an answer, before its connection counts as lost."""
UNIT_SECONDS = 9.0
"""How long a unit of work may take, with the wait for a connection and every try: its caller hears within ten seconds
that the database is silent.
"""
MAINTENANCE_SECONDS = 60.0
"""The same for a unit of the background's, for which nobody waits. Each of its statements has the ordinary limit."""
PART_FOR_A_PLACE: Final = 0.4
"""How much of its time a unit may wait for its turn: a statement has its whole 5 s afterwards."""

_OPTIONS: Final = (
    # A connection at rest is probed after 30 s, and lost after three probes without an answer.
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    # What was sent must be acknowledged within 10 s: keepalive does not run while something is under way.
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 10_000),
)
"""Options of a TCP socket by name, for not every system has each."""


class Silence:
    """When a connection was last found silent; shared by all views of a database."""

    noticed_at = float("-inf")

    def note(self, error: BaseException, sent_at: float) -> None:
        """Record an error of a connection whose last statement was sent at a time.

        A unit of many statements may be cancelled at its deadline while the server still talks: that one's connection
        is lost, and the others are not replaced on its account.
        """
        now = asyncio.get_running_loop().time()
        if isinstance(error, TimeoutError) or now - sent_at >= STATEMENT_TIMEOUT_SECONDS:
            self.noticed_at = now


def guard_socket(connection: "asyncpg.Connection[Any]") -> None:
    """Set the socket so that the kernel notices when the other end is gone. The driver has no option for it."""
    held = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # noqa: SLF001
    if held is None or held.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for level, name, value in _OPTIONS:
        if (option := getattr(socket, name, None)) is not None:
            # A connection that was lost meanwhile is found out by its next statement.
            with contextlib.suppress(OSError):
                held.setsockopt(level, option, value)
