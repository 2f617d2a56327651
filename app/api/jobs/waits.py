"""Waits for several jobs; with `wait: 0`, a batch read."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Body, Request, Response
from pydantic_core import to_json

from app.api.examples import JOB_ID
from app.api.jobs.wire import Waited, WaitIn
from app.api.routes import problems, router
from app.api.translate import included, job_document
from app.core.waits import EndedBy, Until, WaitResult, ended_at_once
from app.domain.held import wait_for
from app.domain.ids import parse_id
from app.domain.job import Job
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.deps import CoreServices, Services
from app.web.held_response import held_json_response
from app.web.large import list_body, rendered, size_of

waits = router("Jobs")

_EXAMPLE = {"ids": [JOB_ID], "until": "all", "wait": 10, "include": ["result"]}


@waits.post(
    "/jobs/wait",
    operation_id="jobs_wait",
    summary="Wait for jobs, or read many at once",
    response_model=Waited,
    responses={200: {"description": "The jobs. White space may precede the JSON."}, **problems(body=True)},
)
async def wait_for_jobs(
    request: Request,
    caller: Annotated[Principal, requires(Scope.READ)],
    services: CoreServices,
    wait_in: Annotated[WaitIn, Body(examples=[_EXAMPLE])],
) -> Response:
    """Wait until the condition holds or the time is up, and return the jobs as they are.

    `ended_by` states why the wait ended; `shutdown` means that the service is stopping, usually to be restarted: send
    the request again. A wait longer than 15 seconds is kept alive by spaces before the JSON. Unknown ids are listed,
    and not waited for. Where what `include` names does not fit into the answer (16 MiB by default), the jobs that come
    without it are named in `documents_omitted`: read these again, fewer at a time. The first job always has its own.
    """
    texts = list(dict.fromkeys(wait_in.ids))
    ids = {text: job_id for text in texts if (job_id := parse_id(text)) is not None}
    versions = {job_id: v for text, v in wait_in.versions.items() if (job_id := parse_id(text)) is not None}
    seconds, until, include = wait_in.wait, Until(wait_in.until), {name.value for name in wait_in.include}
    # Not while the wait lasts.
    del wait_in

    def render(result: WaitResult) -> bytes:
        jobs = result.jobs
        shown = {id_: _document(services, job, include) for id_, job in jobs.items()}
        omitted = [str(id_) for id_, job in jobs.items() if include and job.documents is None]
        return _body(texts, ids, shown, result.ended_by, omitted)

    async def answer() -> bytes:
        result = await services.waits.wait(
            caller.project_id,
            list(ids.values()),
            seconds=seconds,
            until=until,
            versions=versions,
            include=included(include),
        )
        return await rendered(size_of(result.jobs.values()), render, result)

    if seconds == 0 and not include:
        read = await services.jobs.summaries(caller.project_id, list(ids.values()))
        shown = {id_: rendering.body for id_, rendering in read.items()}
        ended_by = ended_at_once(read, until, versions)
        return Response(_body(texts, ids, shown, ended_by, ()), media_type="application/json")
    return await held_json_response(request, answer(), bytes, wait_for(ids))


def _document(services: Services, job: Job, include: Collection[str]) -> bytes:
    """Return a job as JSON. Without its large fields it is rendered once for all requests that wait for it."""
    if not include:
        return services.jobs.summary_of(job)
    # Not from the cache, which belongs to the event loop: this may be a thread.
    return to_json(job_document(job, include if job.documents is not None else ()))


def _body(
    texts: Sequence[str],
    ids: Mapping[str, UUID],
    shown: Mapping[UUID, bytes],
    ended_by: EndedBy,
    omitted: Sequence[str],
) -> bytes:
    """Assemble the response, in the order of the request."""
    jobs = [shown[ids[text]] for text in texts if ids.get(text) in shown]
    not_found = [text for text in texts if ids.get(text) not in shown]
    return list_body("jobs", jobs, not_found=not_found, ended_by=ended_by, documents_omitted=omitted)
