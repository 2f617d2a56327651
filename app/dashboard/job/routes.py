"""The page of one job, and the stream that keeps it current."""

from fastapi import Request, Response

from app.dashboard.job.live import MOST_EVENTS, job_frames
from app.dashboard.job.sections import sections
from app.dashboard.job.stages import StageClock
from app.dashboard.job.views import head_of, waits
from app.dashboard.site import page, pages_router
from app.domain.held import JOB_STREAM
from app.domain.job import JobRef
from app.domain.principal import Scope
from app.domain.states import CLAIMABLE, LEASED, JobState
from app.web.auth import requires
from app.web.deps import Caller, CoreServices
from app.web.params import job_id_of
from app.web.sse import EventStreamResponse

job_pages = pages_router()


@job_pages.get("/ui/jobs/{job_id}", dependencies=[requires(Scope.READ)])
async def show(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show a job as it is now; the stream goes on from there."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id), documents=True)
    waiting, clock, found = None, StageClock(), None
    if job.state is JobState.PENDING:
        # It has no attempt behind it whose events would say more than its state does.
        waiting = await services.waiting.get(*job.ref) if waits(job) else None
    else:
        found = await services.events.of(job, limit=MOST_EVENTS)
        clock = StageClock(found[0], is_partial=found[1])
    head = head_of(job, caller, waiting, clock)
    return page(request, "job/page.html", head=head, **await sections(request, services, caller, job, found))


@job_pages.get("/ui/jobs/{job_id}/live", dependencies=[requires(Scope.READ)])
async def live(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Stream the head of the page whenever the job changes."""
    ref = JobRef(caller.project_id, job_id_of(job_id))
    # Checked before the response starts, while it can still be a 404.
    await services.jobs.get(*ref)
    return EventStreamResponse(request, job_frames(request, services, caller, ref), JOB_STREAM)


@job_pages.get("/ui/jobs/{job_id}/why", dependencies=[requires(Scope.READ)])
async def why(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Answer why the job waits; with nothing where it has stopped to, which the stream tells better."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    if job.state not in CLAIMABLE:
        return Response(status_code=204)
    waiting = await services.waiting.get(*job.ref) if waits(job) else None
    return page(request, "job/why.html", head=head_of(job, caller, waiting))


@job_pages.get("/ui/jobs/{job_id}/life", dependencies=[requires(Scope.READ)])
async def life(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Answer when the worker that holds the job reported, and when its lease ends."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    if job.state not in LEASED:
        return Response(status_code=204)
    waiting = await services.waiting.get(*job.ref)
    return page(request, "job/life_words.html", head=head_of(job, caller, waiting))
