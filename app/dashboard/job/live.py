"""The stream of a job's page: the parts of the head that have changed, as soon as they have, and its end."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Final, TypeVar

from fastapi import Request
from markupsafe import Markup

from app.dashboard.job.stages import StageClock
from app.dashboard.job.views import PARTS, JobHead, head_of, waits
from app.dashboard.site import rendered
from app.domain.errors import NotFoundError
from app.domain.event import JobEventRecord
from app.domain.job import Job, JobRef
from app.domain.principal import Principal
from app.domain.waiting import Waiting
from app.web.deps import Services
from app.web.disconnect import cancel_and_wait
from app.web.sse import sse_frame, text_frame

T = TypeVar("T")

FRAME_SECONDS: Final = 0.25
"""What comes within this time is shown together: a job that reports a hundred times a second is read by nobody."""
ENDED: Final = "job-ended"
"""The last message: nothing can change any more."""
MOST_EVENTS: Final = 1_000
"""Events that are read for the stages of a page: a job may have a million of them, and a page is opened often."""


async def job_frames(
    request: Request, services: Services, caller: Principal, ref: JobRef
) -> AsyncGenerator[bytes, None]:
    """Yield what has changed on the page of a job, first all of it; ends with the job."""
    try:
        job = await services.jobs.get(*ref)
        events, has_more = await services.events.of(job, limit=MOST_EVENTS)
        clock, shown = StageClock(events, is_partial=has_more), dict[str, Markup]()
        after = None if has_more or not events else events[-1].position
        following = services.events.follow_job(*ref, after=after)
        async with aclosing(together(following, FRAME_SECONDS)) as batches:
            async for batch in batches:
                for event in batch:
                    if isinstance(event, Job):
                        job = event
                    elif isinstance(event, JobEventRecord):
                        clock.note(event)
                head = head_of(job, caller, await _waiting(services, job), clock)
                if changed := changed_parts(request, head, shown):
                    yield text_frame(changed)
        if not job.terminal:
            # It was deleted, which this raises; or the service stops, and the page comes back to another process.
            await services.jobs.get(*ref)
            return
    except NotFoundError:
        yield text_frame(rendered(request, "job/deleted.html"))
    yield sse_frame(ENDED, {})


def changed_parts(request: Request, head: JobHead, shown: dict[str, Markup], parts: Collection[str] = PARTS) -> Markup:
    """Write the parts of the head that are not as they were last shown, each with the place that it replaces."""
    now = {name: Markup(rendered(request, f"job/{name}.html", head=head)) for name in parts}  # noqa: S704 - our template
    changed = {name: text for name, text in now.items() if shown.get(name) != text}
    shown.update(now)
    return Markup(rendered(request, "job/changes.html", head=head, changed=changed) if changed else "")  # noqa: S704


async def _waiting(services: Services, job: Job) -> Waiting | None:
    if not waits(job):
        return None
    try:
        return await services.waiting.get(*job.ref)
    except NotFoundError:
        return None


async def together(source: AsyncGenerator[T, None], seconds: float) -> AsyncGenerator[list[T], None]:
    """Yield what a source yields, and with each what comes within some seconds after it."""
    loop = asyncio.get_running_loop()
    coming: asyncio.Task[T | None] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(source, None))
            first = await coming
            coming = None
            if first is None:
                return
            batch, ends_at, over = [first], loop.time() + seconds, False
            while not over and (left := ends_at - loop.time()) > 0:
                coming = coming or asyncio.ensure_future(anext(source, None))
                done, _ = await asyncio.wait({coming}, timeout=left)
                if done:
                    following, coming = coming.result(), None
                    over = following is None
                    if following is not None:
                        batch.append(following)
            yield batch
            if over:
                return
    finally:
        if coming is not None:
            await cancel_and_wait(coming)
        await source.aclose()
