"""Waiting for many jobs at once; with `wait: 0` the batch read."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Body, Request, Response
from pydantic_core import to_json

from app.api.jobs.wire import Waited, WaitIn
from app.api.routes import problems, router
from app.api.translate import job_document
from app.core.waits import Until
from app.domain.ids import parse_id
from app.domain.job import Job
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.deps import CoreServices, Services
from app.web.held_response import held_json_response

waits = router("Jobs")

_EXAMPLE = {"ids": ["0192f0c1-2f6e-7c3a-9d51-2b7a3f1c9e10"], "until": "all", "wait": 30, "include": ["result"]}


@waits.post(
    "/jobs/wait",
    operation_id="jobs_wait",
    summary="Wait for jobs, or read many at once",
    response_model=Waited,
    responses={200: {"description": "Their states. White space may come before the JSON."}, **problems(body=True)},
)
async def wait_for_jobs(
    request: Request,
    caller: Annotated[Principal, requires(Scope.READ)],
    services: CoreServices,
    asked: Annotated[WaitIn, Body(examples=[_EXAMPLE])],
) -> Response:
    """Wait as long as asked; at the end of the time the answer is the states as they are.

    A wait longer than 15 seconds is kept alive by spaces before the JSON. Unknown ids are listed and not waited for.
    """
    texts = list(dict.fromkeys(asked.ids))
    ids = {text: job_id for text in texts if (job_id := parse_id(text)) is not None}
    versions = {job_id: v for text, v in asked.versions.items() if (job_id := parse_id(text)) is not None}
    include = {name.value for name in asked.include}

    def render(found: Mapping[UUID, Job]) -> bytes:
        shown = {id_: _document(services, job, include) for id_, job in found.items()}
        return _body(texts, ids, shown)

    if asked.wait == 0 and not include:
        read = await services.jobs.summaries(caller.project_id, list(ids.values()))
        shown = {id_: rendering.body for id_, rendering in read.items()}
        return Response(_body(texts, ids, shown), media_type="application/json")
    wait = services.waits.wait(
        caller.project_id,
        list(ids.values()),
        seconds=asked.wait,
        until=Until(asked.until),
        versions=versions,
        documents=bool(include),
    )
    return await held_json_response(request, wait, render)


def _document(services: Services, job: Job, include: Collection[str]) -> bytes:
    """Write one job; one without its large parts is written once for all who wait for it."""
    return to_json(job_document(job, include)) if include else services.jobs.summary_of(job)


def _body(texts: Sequence[str], ids: Mapping[str, UUID], shown: Mapping[UUID, bytes]) -> bytes:
    """Put the jobs together, in the order in which they were asked for."""
    jobs = [shown[ids[text]] for text in texts if ids.get(text) in shown]
    not_found = [text for text in texts if ids.get(text) not in shown]
    return b'{"jobs":[' + b",".join(jobs) + b'],"not_found":' + to_json(not_found) + b"}"
