"""What the start page is made of, read from the core: a handful of statements, some of them shared by all readers."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.dashboard.formats import from_now
from app.dashboard.now.views import FAILED, Found
from app.domain.job import Job
from app.domain.job_filter import JobFilter
from app.domain.queue import Depth
from app.domain.states import LEASED
from app.web.deps import Services

MOST_QUEUES: Final = 100
MOST_HELD: Final = 400
MOST_FAILED: Final = 50
MOST_WORKERS: Final = 100
MADE_WITHIN: Final = timedelta(days=7)
"""A list walks along the times at which jobs were created, and what failed today may be some days old."""


async def read_now(core: Services, project_id: UUID) -> Found | None:
    """Read what the page shows; None where the project has no job yet."""
    depths = {name: depth for (owner, name), depth in (await core.queues.gauges()).items() if owner == project_id}
    failed = await core.lists.page(
        project_id, JobFilter(states=FAILED, created_after=from_now(-MADE_WITHIN)), limit=MOST_FAILED
    )
    if not depths and not failed.jobs and not await newest_job(core, project_id):
        return None
    jobs, more_held = await _held(core, project_id, depths)
    held = [job.id for job in jobs]
    reasons = await core.waiting.of(project_id, [*_oldest(depths), *held])
    queues, more_queues = await core.queues.page(project_id, limit=MOST_QUEUES)
    workers, more_workers = await core.workers.page(project_id, limit=MOST_WORKERS)
    return Found(
        now=from_now(timedelta()),
        depths=depths,
        reasons=reasons,
        held=held,
        types={job.id: job.type for job in jobs},
        overdue=[job for job in jobs if job.overdue],
        more_held=more_held,
        failed=failed.jobs,
        more_failed=failed.next_before is not None,
        workers=workers,
        more_workers=more_workers is not None,
        ended_per_minute=None if more_queues else sum(view.rates.ended_per_minute for view in queues),
        checks=await core.health.failures(),
        free_bytes=core.metrics.read("data_free_bytes"),
        least_free_bytes=core.metrics.read("data_least_free_bytes"),
        listener_up=core.metrics.read("listener_up") != 0,
        feed_seconds=core.events.held_up_seconds(),
    )


async def newest_job(core: Services, project_id: UUID) -> Job | None:
    """Return the job that was created last."""
    jobs = (await core.lists.page(project_id, JobFilter(), limit=1)).jobs
    return jobs[0] if jobs else None


def _oldest(depths: Mapping[str, Depth]) -> list[UUID]:
    """Return the job of each queue that is due for longest, of the queues that wait for longest: one that no worker
    takes becomes the oldest of its queue, sooner or later, however many others come and go.
    """
    found = [(depth.oldest_waiting_seconds or 0, depth.oldest_waiting_id) for depth in depths.values()]
    oldest = sorted(((age, id_) for age, id_ in found if id_ is not None), reverse=True)
    return [id_ for _, id_ in oldest[:MOST_QUEUES]]


async def _held(core: Services, project_id: UUID, depths: Mapping[str, Depth]) -> tuple[Sequence[Job], bool]:
    """Return jobs that are held, the newest first, and whether there are more."""
    if not any(depth.count(LEASED) for depth in depths.values()):
        return [], False
    page = await core.lists.page(project_id, JobFilter(states=LEASED), limit=MOST_HELD)
    return page.jobs, page.next_before is not None
