"""The page of one job, and the stream that keeps it current."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Request, Response

from app.dashboard.job.sections import MOST_EVENTS, sections
from app.dashboard.job.views import JobHead, head_of
from app.dashboard.site import page, pages_router, rendered
from app.domain.held import JOB_STREAM
from app.domain.job import Job
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.deps import Caller, CoreServices
from app.web.params import job_id_of
from app.web.sse import EventStreamResponse, text_frame

job_pages = pages_router()


@job_pages.get("/ui/jobs/{job_id}", dependencies=[requires(Scope.READ)])
async def show(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show a job as it is now; the stream goes on from there."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id), documents=True)
    events = await services.events.of(job, limit=MOST_EVENTS)
    return page(request, "job/page.html", head=head_of(job), **await sections(request, services, caller, job, events))


@job_pages.get("/ui/jobs/{job_id}/live", dependencies=[requires(Scope.READ)])
async def live(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Stream the head of the page whenever the job changes."""
    parsed = job_id_of(job_id)
    # Checked before the response starts, while it can still be a 404.
    await services.jobs.get(caller.project_id, parsed)

    async def frames() -> AsyncGenerator[bytes, None]:
        async with aclosing(services.events.follow_job(caller.project_id, parsed)) as following:
            async for event in following:
                if isinstance(event, Job):
                    yield text_frame(_head(request, head_of(event)))

    return EventStreamResponse(request, frames(), JOB_STREAM)


def _head(request: Request, head: JobHead) -> str:
    return rendered(request, "job/head.html", head=head)
