"""The parts of a job's page that are asked for one by one; without script each is a page of its own."""

from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response

from app.dashboard.forms import read_form
from app.dashboard.job import files, logs
from app.dashboard.job.attempts import attempts_of, change_of
from app.dashboard.job.documents import checkpoint_of
from app.dashboard.job.files import groups_of, news_of
from app.dashboard.job.sections import MOST_EVENTS, files_in, sections
from app.dashboard.site import is_partial, page, pages_router
from app.domain.errors import InvalidError, NotFoundError
from app.domain.field_error import FieldError
from app.domain.item import Counts
from app.domain.job import Job
from app.domain.job_filter import JobFilter
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.deps import Caller, CoreServices, Services
from app.web.params import job_id_of

job_parts = pages_router()

MOST_RERUNS: Final = 20
MOST_ORIGINALS: Final = 5
EVENTS_SHOWN: Final = 50
_MAX_COUNT: Final = 2**63 - 1


def _part(request: Request, name: str, title: str, **context: Any) -> Response:
    """Answer with a part of the page, or with a page that holds it alone."""
    template = f"job/{name}.html" if is_partial(request) else "job/part.html"
    return page(request, template, part=f"job/{name}.html", part_title=title, alone=not is_partial(request), **context)


@job_parts.get("/ui/jobs/{job_id}/sections", dependencies=[requires(Scope.READ)])
async def show_sections(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show everything below the head anew."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id), documents=True)
    events = await services.events.of(job, limit=MOST_EVENTS)
    return _part(request, "sections", "Details", **await sections(request, services, caller, job, events))


@job_parts.get("/ui/jobs/{job_id}/files", dependencies=[requires(Scope.READ)])
async def show_files(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show a page of the files."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    shown = await files_in(services, job, files.read_query(job, request.query_params))
    return _part(request, "files", "Files", job=job, files=shown)


@job_parts.get("/ui/jobs/{job_id}/errors", dependencies=[requires(Scope.READ)])
async def show_errors(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show the errors of the files by code."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    found = await services.items.errors_of(job)
    return _part(request, "errors", "Errors", job=job, errors=groups_of(job, found, caller))


@job_parts.post("/ui/jobs/{job_id}/errors/rerun", dependencies=[requires(Scope.SUBMIT)])
async def rerun_errors(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Rerun the files that failed with an error code, and go to the new job."""
    (code,) = (await read_form(request)).get("code", [""])[-1:]
    if not 0 < len(code) <= files.MAX_CODE:
        raise InvalidError([FieldError("/code", "invalid_code", "This is an error code of up to 255 characters.")])
    created = await services.jobs.rerun(caller.project_id, job_id_of(job_id), error_codes=[code], queues=caller.queues)
    return Response(None, 204, {"HX-Redirect": f"/ui/jobs/{created.job.id}"})


@job_parts.get("/ui/jobs/{job_id}/news", dependencies=[requires(Scope.READ)])
async def show_news(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Offer what has changed since the page was made, which nothing on it moves for by itself."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    query = files.read_query(job, request.query_params)
    seen = Counts(*(_count(request, name) for name in ("total", "processed", "failed", "skipped")))
    of_attempts = change_of(job, _count(request, "attempt"), request.query_params.get("state", ""))
    words = [part for part in (of_attempts, news_of(seen, job.counts)) if part]
    if not words:
        return Response(status_code=204)
    address = query.address(codes=query.codes) if query.is_chosen else ""
    return page(request, "job/news.html", job=job, words=", ".join(words), address=address)


@job_parts.get("/ui/jobs/{job_id}/attempts", dependencies=[requires(Scope.READ)])
async def show_attempts(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show the attempts."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    events, is_cut = await services.events.of(job, limit=MOST_EVENTS)
    return _part(request, "attempts", "Attempts", job=job, attempts=attempts_of(job, events, is_cut=is_cut))


@job_parts.get("/ui/jobs/{job_id}/checkpoint", dependencies=[requires(Scope.READ)])
async def show_checkpoint(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show what the worker last kept, from which the next attempt continues."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    document = checkpoint_of(await services.jobs.checkpoint(*job.ref))
    return _part(request, "checkpoint", "Checkpoint", job=job, document=document)


@job_parts.get("/ui/jobs/{job_id}/log", dependencies=[requires(Scope.READ)])
async def show_log(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show lines of the log; those that come next replace the place where they are asked for."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    query = logs.read_query(str(job.id), request.query_params)
    found = await services.logs.page(
        *job.ref, offset=query.offset, limit=logs.PAGE_LINES, levels=query.levels, attempt=query.attempt
    )
    shown = logs.lines_of(query, found)
    is_continued = query.is_continued and is_partial(request)
    if is_continued and found.next_offset == query.offset and not found.ended:
        # Nothing new: what asks goes on asking.
        return Response(status_code=204)
    name = "log_lines" if is_continued else "log"
    return _part(request, name, "Log", job=job, log=shown)


@job_parts.get("/ui/jobs/{job_id}/events", dependencies=[requires(Scope.READ)])
async def show_events(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show the events as they were recorded."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    events, more = await services.events.of(job, after=_count(request, "after"), limit=EVENTS_SHOWN)
    following = events[-1].position.id if more else None
    return _part(request, "events", "Events", job=job, events=events, following=following)


@job_parts.get("/ui/jobs/{job_id}/lineage", dependencies=[requires(Scope.READ)])
async def show_lineage(request: Request, caller: Caller, services: CoreServices, job_id: str) -> Response:
    """Show the jobs that this one repeats, and those that repeat it."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    originals = await _originals(services, job)
    reruns = await services.lists.page(caller.project_id, JobFilter(original_job_id=job.id), limit=MOST_RERUNS)
    more = reruns.next_before is not None
    return _part(request, "lineage", "Reruns", job=job, originals=originals, reruns=reruns.jobs, more=more)


async def _originals(services: Services, job: Job) -> list[Job]:
    """Return the jobs that this one goes back to, the first of all first; those that were deleted end the line."""
    found: list[Job] = []
    original: UUID | None = job.original_job_id
    while original is not None and len(found) < MOST_ORIGINALS:
        try:
            found.insert(0, await services.jobs.get(job.project_id, original))
        except NotFoundError:
            break
        original = found[0].original_job_id
    return found


def _count(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _MAX_COUNT):
        raise InvalidError([FieldError(f"?{name}", "no_number", f"This is a number from 0 to {_MAX_COUNT:,}.")])
    return int(text)
