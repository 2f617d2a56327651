"""Builds everything, starts it, and stops it in the order that loses nothing. The only place where parts meet."""

from collections.abc import Iterable, Mapping
from uuid import uuid4

from app.api.render import render_detail, render_summary
from app.core.bodies import Bodies
from app.core.bulk import Bulk
from app.core.health import Health
from app.core.history import History
from app.core.inputs import Inputs
from app.core.items import Items
from app.core.job_lists import JobLists
from app.core.jobs import Jobs
from app.core.key_admin import KeyAdmin, Projects
from app.core.keys import Keys
from app.core.leases import Leases
from app.core.metrics import Metrics
from app.core.queues import Queues
from app.core.retention import Retention
from app.core.statuses import Statuses
from app.db import jobs as job_rows
from app.db.engine import Database, make_engine
from app.domain.job import Created, Job, JobKey, Known
from app.domain.worker_call import Replayed, Reported, WorkerCall
from app.live import creations as creating
from app.live import worker_calls
from app.live.change_feed import Announcer, ChangeFeed, Listeners
from app.live.claimers import Claimers
from app.live.creations import CreateRequest
from app.live.event_stream import EventStream
from app.live.group_writer import GroupWriter
from app.live.read_batcher import ReadBatcher
from app.live.renderings import Freshness, Renderings
from app.live.service import Service
from app.live.sweep import Sweep
from app.live.waiters import Waiters
from app.maintenance.key_uses import KeyUses
from app.maintenance.pruner import Pruner
from app.maintenance.rescuer import Rescuer
from app.web.deps import Services
from app.web.http_metrics import HttpMetrics

POOL_SIZE = 10


class Runtime:
    """One process's machinery over one database."""

    def __init__(
        self, database_url: str, *, listen_url: str | None = None, pool_size: int = POOL_SIZE, prepared: bool = False
    ) -> None:
        metrics = Metrics()
        self.telemetry = HttpMetrics(metrics.registry)
        self.database = Database(
            make_engine(database_url, pool_size=pool_size, prepared=prepared), on_statement=metrics.count_statement
        )
        self.waiters = Waiters()
        self.claimers = Claimers()
        self.stream = EventStream(self.database)
        origin = uuid4().hex
        keys = Keys(self.database)
        reads: ReadBatcher[JobKey, Job] = ReadBatcher(self.database, job_rows.select_by_ids)
        full_reads: ReadBatcher[JobKey, Job] = ReadBatcher(self.database, job_rows.select_with_documents)
        changes: ReadBatcher[Known, int | None] = ReadBatcher(self.database, job_rows.select_changed)
        details = Renderings(full_reads, changes, render_detail)
        summaries = Renderings(reads, changes, render_summary)
        self._renderings = (details, summaries)
        self.sweep = Sweep(self.database, self.waiters, self.claimers, metrics.observe_sweep)
        listeners = Listeners(
            changed=self._changed,
            offered=self.claimers.offer,
            keys_changed=keys.forget,
            reconnected=self.sweep.nudge,
        )
        self.announcer = Announcer(self.database, origin, listeners, metrics.count_events)
        self.feed = ChangeFeed(listen_url or database_url, origin, listeners)
        announce = self.announcer.announce
        creations: GroupWriter[CreateRequest, Created] = GroupWriter(
            self.database, metrics.measured("creations", creating.apply_creations), announce, weigh=creating.rows_of
        )
        calls: GroupWriter[WorkerCall, Reported | Job | Replayed] = GroupWriter(
            self.database,
            metrics.measured("calls", worker_calls.apply_worker_calls),
            announce,
            weigh=worker_calls.rows_of,
        )
        jobs = Jobs(self.database, reads, full_reads, creations, announce)
        leases = Leases(self.database, calls, self.claimers, announce, metrics.count_stale)
        queues = Queues(self.database)
        lists = JobLists(self.database, jobs)
        self.services = Services(
            jobs=jobs,
            bodies=Bodies(details, summaries),
            lists=lists,
            bulk=Bulk(self.database, jobs, lists, announce),
            leases=leases,
            statuses=Statuses(jobs, self.waiters, metrics.observe_wake),
            items=Items(self.database, jobs),
            history=History(self.database, jobs, self.waiters, self.stream),
            inputs=Inputs(self.database, jobs),
            queues=queues,
            keys=keys,
            key_admin=KeyAdmin(self.database, self.announcer.announce_keys),
            projects=Projects(self.database),
            health=Health(self.database),
            metrics=metrics,
        )
        metrics.queue_depths = queues.totals
        self._watch(metrics)
        self._loops: Iterable[Service] = (
            self.announcer,
            self.feed,
            self.sweep,
            Freshness(self.database, self._renderings),
            self.stream,
            Rescuer(leases),
            KeyUses(keys),
            Pruner(Retention(self.database, announce)),
        )

    def _changed(self, changes: Mapping[JobKey, Job | None]) -> None:
        for renderings in self._renderings:
            renderings.doubt(changes)
        self.waiters.wake(changes)
        self.stream.changed(changes)

    def _watch(self, metrics: Metrics) -> None:
        """Let the metrics read what the machinery knows about itself."""
        metrics.watch("open_waits", "Requests that wait for jobs.", lambda: len(self.waiters))
        metrics.watch("open_streams", "Readers of the event stream.", lambda: len(self.stream))
        metrics.watch("open_claims", "Claims that wait for work.", lambda: len(self.claimers))
        metrics.watch("listener_up", "1: a message to ourselves came back lately.", lambda: float(self.feed.up))
        database = self.database
        metrics.watch("db_pool_checked_out_connections", "Connections in use.", database.connections_in_use)
        metrics.watch("db_pool_size_connections", "Connections there may be.", database.connections_allowed)

    async def start(self) -> None:
        """Start the background loops; the database is connected to when it is first needed."""
        for loop in self._loops:
            await loop.start()

    def drain(self) -> None:
        """Answer every open wait now: readiness turns, waits give the current states, idle claims give nothing."""
        self.services.health.draining = True
        self.waiters.drain()
        self.claimers.drain()
        self.stream.drain()

    async def stop(self) -> None:
        """Stop the loops, tell what is still to be told, and close the pool when the last unit of work is done."""
        self.drain()
        await self.services.leases.settle()
        for loop in self._loops:
            await loop.stop()
        try:
            await self.announcer.flush()
        finally:
            await self.database.close()


async def prepare(database_url: str, bootstrap_key: str | None) -> str | None:
    """Install the first key in an empty database and give it; None where there are keys already."""
    database = Database(make_engine(database_url, pool_size=1))
    try:
        return await Keys(database).install_first(bootstrap_key)
    finally:
        await database.close()
