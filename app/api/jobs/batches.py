"""Creation of many jobs in one call."""

from typing import Annotated, Any

from fastapi import Body, Request, Response

from app.api.jobs.translate import created_document
from app.api.jobs.wire import CreateResults, JobsIn
from app.api.responses import json_response
from app.api.routes import problems, router
from app.api.rows import BadRow, text_errors
from app.api.translate import error_document
from app.domain.errors import ForbiddenError, JobtrackError
from app.domain.job import NewJob
from app.domain.principal import Principal, Scope
from app.web.auth import check_scope, requires
from app.web.body import BATCH_BODY
from app.web.deps import CoreServices
from app.web.idempotency import IdempotencyKey, replayed_headers
from app.web.params import check_queue

job_batches = router("Jobs", BATCH_BODY)


@job_batches.post(
    "/jobs/batch",
    operation_id="jobs_create_batch",
    summary="Create many jobs",
    response_model=CreateResults,
    responses={200: {"description": "One result per row, in the order of the request."}, **problems(body=True)},
)
async def create_batch(
    request: Request,
    caller: Annotated[Principal, requires(Scope.SUBMIT)],
    services: CoreServices,
    key: IdempotencyKey,
    body: Annotated[JobsIn, Body(examples=[{"jobs": [{"type": "index_folder", "payload": {"folder": "/data"}}]}])],
) -> Response:
    """Create up to 1,000 jobs. Each row is accepted or rejected independently."""
    nul_errors = text_errors(await request.body(), (await request.json())["jobs"])
    ready = [error or _ready(caller, row) for row, error in zip(body.jobs, nul_errors, strict=True)]
    jobs = [job for job in ready if isinstance(job, NewJob)]
    if any(job.claim is not None for job in jobs):
        key = key and key.of_caller(caller.key_id)
    created = iter(await services.jobs.create_many(caller.project_id, jobs, idempotency=key))
    results = []
    replayed = False
    for job in ready:
        outcome = next(created) if isinstance(job, NewJob) else job
        if isinstance(outcome, JobtrackError):
            results.append({"problem": error_document(outcome)})
        else:
            results.append({"job": created_document(outcome)})
            replayed = replayed or outcome.replayed
    return json_response({"results": results}, 200, replayed_headers(replayed))


def _ready(caller: Principal, row: Any) -> NewJob | JobtrackError:
    """Return the row's new job, or the error that rejects the row."""
    if isinstance(row, BadRow):
        return row.error
    try:
        check_queue(caller, row.queue)
        if row.claim is not None:
            check_scope(caller, Scope.WORK)
    except ForbiddenError as error:
        return error
    job: NewJob = row.to_domain()
    return job
