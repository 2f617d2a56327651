"""The change feed between processes: one NOTIFY every few milliseconds after the commits, one listening connection.

A notification is a hint. It is sent from code and after the commit, because inside the transaction it serialises
commits (3 to 8 times less throughput at 32 writers); a crash in between, a lost connection or a pooler loses it, and
then the sweep finds the change a second later.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import structlog

from app.db.connection import Connection
from app.db.engine import Database
from app.db.opening import asyncpg_dsn, open_connection
from app.db.parameters import Values
from app.db.sessions import is_shared
from app.db.statement import Statement
from app.domain.ids import id_of
from app.domain.job import Job, JobRef
from app.domain.principal import KeyChange, KeyRef
from app.live.idle_claims import ClaimableJob
from app.live.loop import Loop

log = structlog.get_logger(__name__)

CHANNEL = "jobtrack"
GATHER_SECONDS = 0.004
MAX_ENTRIES_A_PAYLOAD = 60
"""Keeps a payload below PostgreSQL's 8,000 bytes: a job is 76 bytes and an offer at most some 600 with names of 255."""
MAX_PAYLOAD_BYTES = 7_900
PROBE_SECONDS = 10.0
PROBE_TIMEOUT_SECONDS = 2.0
SHARED_SECONDS = 300.0
"""How long a pooler is taken for one that shares sessions: its mode may be changed while it runs."""


@dataclass(frozen=True, slots=True)
class _Payloads:
    channel: str
    payloads: Sequence[str]


NOTIFY = Statement("SELECT pg_notify(:channel, payload) FROM unnest(:payloads) AS payload", Values(_Payloads))


@dataclass(frozen=True, slots=True)
class Change:
    """A job that changed, and the work it offers if it can be claimed now."""

    key: JobRef
    claimable: ClaimableJob | None = None
    event_types: tuple[str, ...] = ()
    """What happened to it, for the metrics."""
    job: Job | None = None
    """The job after the change, if the change returned it, so that this process need not read it."""


@dataclass(slots=True)
class _News:
    """What waits to be announced. Keyed, so that a job that changed ten times is one entry."""

    jobs: dict[JobRef, None] = field(default_factory=dict)
    claimable: list[ClaimableJob] = field(default_factory=list)
    keys: list[KeyChange] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.jobs or self.claimable or self.keys)


@dataclass(frozen=True, slots=True)
class Listeners:
    """The feed's listeners. Each is called on the event loop and must not block."""

    changed: Callable[[Mapping[JobRef, Job | None]], None]
    claimable: Callable[[Iterable[ClaimableJob]], None]
    keys_changed: Callable[[Sequence[KeyChange] | None], None]
    """Called with None where any key may have changed."""
    reconnected: Callable[[], None]


class Announcer(Loop):
    """Sends changes. Listeners of this process are called at once, without the way through the database."""

    def __init__(
        self,
        database: Database,
        origin: str,
        listeners: Listeners,
        count: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        super().__init__("announcer")
        self._count = count
        self._database = database
        self._origin = origin
        self._listeners = listeners
        self._news = _News()
        self._some = asyncio.Event()

    def announce(self, changes: Iterable[Change]) -> None:
        """Announce that these jobs changed; to be called after the commit."""
        jobs: dict[JobRef, Job | None] = {}
        claimable: list[ClaimableJob] = []
        events: Counter[str] = Counter()
        for change in changes:
            jobs[change.key] = change.job
            if change.claimable is not None:
                claimable.append(change.claimable)
            for event_type in change.event_types:
                events[event_type] += 1
        # Once for the batch: a counter's lock and look-up by label cost more than the rest of this loop.
        self._count(events)
        if jobs:
            log.debug("jobs changed", jobs=len(jobs), **events)
            self._listeners.changed(jobs)
            self._listeners.claimable(claimable)
            self._news.jobs.update(dict.fromkeys(jobs))
            self._news.claimable.extend(claimable)
            self._some.set()

    def announce_keys(self, changes: Sequence[KeyChange]) -> None:
        """Announce that these keys were changed or revoked; to be called after the commit."""
        self._listeners.keys_changed(changes)
        self._news.keys.extend(changes)
        self._some.set()

    async def run_once(self) -> None:
        """Gather for a few milliseconds, then send it all in one statement."""
        await self._some.wait()
        await asyncio.sleep(GATHER_SECONDS)
        self._some.clear()
        news, self._news = self._news, _News()
        await self._send(news)

    async def flush(self) -> None:
        """Send the remaining changes, at the end of the process."""
        if self._news:
            news, self._news = self._news, _News()
            await self._send(news)

    async def _send(self, news: _News) -> None:
        payloads = list(_payloads(self._origin, news))
        await self._database.read(Connection.execute, NOTIFY, _Payloads(CHANNEL, payloads))


def _payloads(origin: str, news: _News) -> Iterator[str]:
    # Before all else: a claim whose key has ended must not be woken by what comes after.
    keys = [[change.key.project_id.hex, change.key.key_id, change.ended] for change in news.keys]
    for start in range(0, len(keys), MAX_ENTRIES_A_PAYLOAD):
        yield json.dumps({"from": origin, "keys": keys[start : start + MAX_ENTRIES_A_PAYLOAD]})
    jobs = [f"{project_id.hex}{job_id.hex}" for project_id, job_id in news.jobs]
    for start in range(0, len(jobs), MAX_ENTRIES_A_PAYLOAD):
        yield json.dumps({"from": origin, "jobs": jobs[start : start + MAX_ENTRIES_A_PAYLOAD]})
    counted: dict[ClaimableJob, int] = {}
    for job in news.claimable:
        counted[job] = counted.get(job, 0) + 1
    for job, count in counted.items():
        payload = json.dumps(
            {"from": origin, "offer": [job.project_id.hex, job.queue, job.type, count]}, ensure_ascii=False
        )
        if len(payload.encode()) <= MAX_PAYLOAD_BYTES:
            yield payload


class ChangeFeed(Loop):
    """Listens on a connection of its own, and probes it with a message to itself: a deaf socket looks healthy."""

    def __init__(self, url: str, origin: str, listeners: Listeners) -> None:
        super().__init__("change feed")
        self._dsn = asyncpg_dsn(url)
        self._origin = origin
        self._listeners = listeners
        self._lost = asyncio.Event()
        self._echo = asyncio.Event()
        self._nonce = ""
        self._warned = False
        self.up = False
        """Whether a message to ourselves came back lately."""

    async def run_once(self) -> None:
        """Hold one listening connection until it is lost."""
        if await is_shared(self._dsn):
            # A LISTEN would stay in a session that others have, and each notification be a warning in the pooler's log.
            self._warn()
            await asyncio.sleep(SHARED_SECONDS)
            return
        connection = await open_connection(self._dsn)
        try:
            self._lost.clear()
            connection.add_termination_listener(lambda _: self._lost.set())
            await connection.add_listener(CHANNEL, self._receive)
            # Notifications were lost while the connection was down: re-check everything watched, after LISTEN.
            self._listeners.reconnected()
            while not self._lost.is_set():
                await self._probe(connection)
                try:
                    async with asyncio.timeout(PROBE_SECONDS):
                        await self._lost.wait()
                except TimeoutError:
                    continue
        finally:
            self.up = False
            connection.terminate()
        raise ConnectionError("the listening connection was lost")

    async def _probe(self, connection: "asyncpg.Connection[Any]") -> None:
        self._nonce = uuid4().hex
        self._echo.clear()
        payload = json.dumps({"from": self._origin, "echo": self._nonce})
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload, timeout=PROBE_TIMEOUT_SECONDS)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await self._echo.wait()
            self.up = True
        except TimeoutError:
            self.up = False
            self._warn()

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "the change feed hears nothing: LISTEN does not pass a transaction-mode pooler; waits are answered "
                "by the sweep, up to a second later. Set JOBTRACK_LISTEN_URL to a direct connection."
            )

    def _receive(self, _: object, __: int, ___: str, payload: object) -> None:
        message = json.loads(str(payload))
        if message.get("echo") == self._nonce:
            self._echo.set()
        if message.get("from") == self._origin:
            return
        if jobs := message.get("jobs"):
            self._listeners.changed({JobRef(id_of(entry[:32]), id_of(entry[32:])): None for entry in jobs})
        if offer := message.get("offer"):
            project, queue, job_type, count = offer
            self._listeners.claimable([ClaimableJob(id_of(project), queue, job_type)] * count)
        if keys := message.get("keys"):
            # Processes of the version before this one do not say which.
            self._listeners.keys_changed(
                [KeyChange(KeyRef(id_of(project), key_id), ended) for project, key_id, ended in keys]
                if isinstance(keys, list)
                else None
            )
