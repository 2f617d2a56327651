"""Builds everything, starts it, and stops it in the order that loses nothing. The only place where parts meet."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from uuid import uuid4

from app.api.translate import render_detail, render_summary
from app.core import item_copies, retention
from app.core.batches import calls as calls_batch
from app.core.batches.calls_at_once import apply_calls_at_once
from app.core.batches.create import apply_creations, apply_creations_at_once, row_count
from app.core.batches.queue_limit import MAX_QUEUES, QueueLimit
from app.core.browser_sessions import BrowserSessions
from app.core.bulk import Bulk
from app.core.claims import Claims
from app.core.events import Events
from app.core.gauges import watch
from app.core.health import Health
from app.core.inputs import Inputs
from app.core.installation import Installations
from app.core.item_copies import ItemCopies
from app.core.items import Items
from app.core.job_lists import JobLists
from app.core.jobs import Jobs
from app.core.key_admin import KeyAdmin
from app.core.key_holds import KeyHolds
from app.core.keys import ApiKeys
from app.core.leases import Leases
from app.core.logs import Logs
from app.core.metrics import Metrics
from app.core.projects import Projects
from app.core.queues import Queues
from app.core.rescue import JITTER_SECONDS, SHORTEST_REST_SECONDS, Rescue
from app.core.retention import Retention
from app.core.space import Space
from app.core.waiting import Explanations
from app.core.waits import Waits
from app.core.workers import Workers
from app.db import documents
from app.db import jobs as job_rows
from app.db.documents import DocumentRead
from app.db.engine import Database, make_engine
from app.domain.answers import MAX_ANSWER_BYTES
from app.domain.held import KEY_SHARE_PERCENT, MOST, Kind
from app.domain.job import Created, CreateRequest, Job, JobRef, SeenVersion
from app.domain.principal import KeyChange
from app.domain.queue import KEEP_ALL, Keeping
from app.domain.worker_call import WorkerCall, WorkerOutcome
from app.live import feed_lag
from app.live.body_cache import BodyCache, Revalidator
from app.live.change_feed import Announcer, ChangeFeed, Listeners
from app.live.event_stream import EventStream
from app.live.group_writer import GroupWriter
from app.live.idle_claims import IdleClaims
from app.live.loop import Periodic, Service
from app.live.read_batcher import ReadBatcher
from app.live.sweep import Sweep
from app.live.waiters import Waiters
from app.web.deps import Services
from app.web.http_metrics import HttpMetrics

POOL_SIZE = 10


class Runtime:
    """One process's machinery over one database."""

    def __init__(
        self,
        database_url: str,
        *,
        listen_url: str | None = None,
        pool_size: int = POOL_SIZE,
        prepared: bool = False,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        space: Space | None = None,
        key_share_percent: int = KEY_SHARE_PERCENT,
        most_held: Mapping[Kind, int] = MOST,
        max_queues: int = MAX_QUEUES,
        keeping: Keeping = KEEP_ALL,
    ) -> None:
        metrics = Metrics()
        queue_limit = QueueLimit(max_queues)
        self.space = space or Space()
        self.telemetry = HttpMetrics(metrics.registry)
        self.database = Database(
            make_engine(database_url, pool_size=pool_size, prepared=prepared),
            on_statement=metrics.count_statement,
            on_no_space=self.space.note_full,
            on_wait=metrics.observe_connection_wait,
        )
        self.waiters = Waiters()
        self.idle_claims = IdleClaims()
        self.stream = EventStream(self.database)
        self.feed_lag = feed_lag.FeedLag(self.database)
        origin = uuid4().hex
        keys = ApiKeys(self.database)
        holds = KeyHolds(self.database, most=most_held, key_share_percent=key_share_percent)
        reads: ReadBatcher[JobRef, Job] = ReadBatcher(self.database, job_rows.select_by_ids)
        full_reads: ReadBatcher[JobRef, Job] = ReadBatcher(self.database, job_rows.select_with_documents)
        document_reads: ReadBatcher[DocumentRead, Job] = ReadBatcher(self.database, documents.select)
        changes: ReadBatcher[SeenVersion, int | None] = ReadBatcher(self.database, job_rows.select_changed)
        details = BodyCache(full_reads, changes, render_detail)
        summaries = BodyCache(reads, changes, render_summary)
        self._caches = (details, summaries)
        self.sweep = Sweep(self.database, self.waiters, self.idle_claims, metrics.observe_sweep)
        listeners = Listeners(
            changed=self._changed,
            claimable=self.idle_claims.wake_for,
            keys_changed=self._keys_changed,
            reconnected=self.sweep.nudge,
        )
        self.announcer = Announcer(self.database, origin, listeners, metrics.count_events)
        self.feed = ChangeFeed(listen_url or database_url, origin, listeners)
        announce = self.announcer.announce
        create_writer: GroupWriter[CreateRequest, Created] = GroupWriter(
            self.database,
            partial(apply_creations, queue_limit),
            announce,
            at_once=metrics.measured("creations", apply_creations_at_once),
            row_count=row_count,
            ordered=False,
        )
        calls: GroupWriter[WorkerCall, WorkerOutcome] = GroupWriter(
            self.database,
            calls_batch.apply_worker_calls,
            announce,
            at_once=metrics.measured("calls", apply_calls_at_once),
            row_count=calls_batch.row_count,
        )
        jobs = Jobs(
            self.database,
            reads,
            full_reads,
            document_reads,
            details,
            summaries,
            create_writer,
            announce,
            self.space,
            queue_limit,
            max_answer_bytes=max_answer_bytes,
        )
        leases = Leases(self.database, calls, metrics.count_stale)
        workers = Workers(self.database, origin)
        self.claims = Claims(
            self.database, leases, self.idle_claims, workers.askers, announce, max_answer_bytes=max_answer_bytes
        )
        queues = Queues(self.database, queue_limit)
        lists = JobLists(self.database, jobs, max_answer_bytes=max_answer_bytes)
        self.services = Services(
            jobs=jobs,
            lists=lists,
            bulk=Bulk(self.database, jobs, lists, announce, metrics.count_busy),
            claims=self.claims,
            leases=leases,
            waits=Waits(jobs, self.waiters, metrics.observe_wake),
            waiting=Explanations(self.database),
            items=Items(self.database, jobs, max_answer_bytes=max_answer_bytes),
            events=Events(
                self.database, jobs, self.waiters, self.stream, self.feed_lag, max_answer_bytes=max_answer_bytes
            ),
            logs=Logs(self.database, jobs, self.waiters, max_answer_bytes=max_answer_bytes),
            inputs=Inputs(self.database, jobs, self.space),
            queues=queues,
            workers=workers,
            keys=keys,
            sessions=BrowserSessions(self.database),
            holds=holds,
            key_admin=KeyAdmin(self.database, self.announcer.announce_keys),
            projects=Projects(self.database),
            health=Health(self.database, self.space),
            installation=Installations(self.database, self.space, self.feed, self.feed_lag),
            metrics=metrics,
        )
        metrics.queue_depths = queues.totals
        watch(
            metrics,
            database=self.database,
            waiters=self.waiters,
            stream=self.stream,
            idle_claims=self.idle_claims,
            feed=self.feed,
            feed_lag=self.feed_lag,
            holds=holds,
            space=self.space,
        )
        self._loops: Iterable[Service] = (
            self.announcer,
            self.feed,
            holds,
            self.sweep,
            Periodic("revalidator", Revalidator(self.database, self._caches).check),
            self.stream,
            Periodic("feed lag", self.feed_lag.look, jitter_seconds=feed_lag.JITTER_SECONDS),
            Periodic(
                "rescuer",
                Rescue(self.database, announce, metrics.count_busy).step,
                at_least_seconds=SHORTEST_REST_SECONDS,
                jitter_seconds=JITTER_SECONDS,
            ),
            Periodic("key uses", keys.write_uses),
            Periodic("browser sessions", self.services.sessions.upkeep),
            Periodic("workers", workers.write),
            Periodic(
                "pruner",
                Retention(self.database, announce, metrics.count_busy, keeping).prune,
                jitter_seconds=retention.JITTER_SECONDS,
            ),
            Periodic(
                "item copier",
                ItemCopies(self.database, announce, metrics.count_busy).step,
                jitter_seconds=item_copies.JITTER_SECONDS,
            ),
        )

    def _changed(self, changes: Mapping[JobRef, Job | None]) -> None:
        for cache in self._caches:
            cache.invalidate(changes)
        self.waiters.wake(changes)
        self.stream.changed(changes)

    def _keys_changed(self, changes: Sequence[KeyChange] | None) -> None:
        self.services.keys.forget(changes)
        self.services.sessions.forget(changes)
        self.services.holds.keys_changed(changes)

    async def start(self) -> None:
        """Start the background loops; the database is connected to when it is first needed."""
        for loop in self._loops:
            await loop.start()

    def drain(self) -> None:
        """Answer every open wait now: readiness turns, waits give the current states, idle claims give nothing."""
        self.services.health.draining = True
        self.waiters.drain()
        self.idle_claims.drain()
        self.stream.drain()

    async def stop(self) -> None:
        """Stop the loops, announce what is still to be announced, and close the pool after the last unit of work."""
        self.drain()
        await self.claims.wait_for_returns()
        for loop in self._loops:
            await loop.stop()
        self.services.keys.refusals.flush(whole=True)
        try:
            await self.announcer.flush()
        finally:
            await self.database.close()
