"""Creation of many jobs in one call."""

from typing import Annotated, Any

from fastapi import Body, Request, Response
from pydantic_core import to_json

from app.api.examples import QUEUE, TYPE
from app.api.jobs.texts import CreatedTexts
from app.api.jobs.translate import shown_of_created
from app.api.jobs.wire import CreateResults, JobsIn
from app.api.routes import problems, router
from app.api.rows import BadRow, row_errors
from app.api.translate import error_document
from app.domain.errors import ForbiddenError, JobtrackError
from app.domain.job import Created, NewJob
from app.domain.principal import Principal, Scope
from app.web.auth import check_scope, requires
from app.web.body import BATCH_BODY
from app.web.deps import CoreServices
from app.web.idempotency import IdempotencyKey, replayed_headers
from app.web.large import list_body, rendered, size_of
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
    body: Annotated[
        JobsIn, Body(examples=[{"jobs": [{"type": TYPE, "queue": QUEUE, "payload": {"folder": "/data"}}]}])
    ],
) -> Response:
    """Create up to 1,000 jobs. Each row is accepted or rejected independently; its payload takes up to 1 MiB of JSON.

    Of a repeated request whose jobs have grown, the documents that do not fit into the response are null, and their
    jobs are named in `documents_omitted`.
    """
    errors = await row_errors(request, "jobs", len(body.jobs))
    ready = [error or _ready(caller, row) for row, error in zip(body.jobs, errors, strict=True)]
    jobs = [job for job in ready if isinstance(job, NewJob)]
    if any(job.claim is not None for job in jobs):
        key = key and key.of_caller(caller.key_id)
    created = iter(await services.jobs.create_many(caller.project_id, jobs, idempotency=key))
    outcomes = [next(created) if isinstance(job, NewJob) else job for job in ready]
    made = [outcome for outcome in outcomes if isinstance(outcome, Created)]
    omitted = [str(outcome.job.id) for outcome in made if outcome.job.documents is None]

    def render() -> bytes:
        texts = CreatedTexts(shown_of_created(caller))
        rows = (_result(caller, texts, outcome) for outcome in outcomes)
        return list_body("results", rows, documents_omitted=omitted)

    size = len(await request.body()) + size_of(outcome.job for outcome in made)
    replayed = any(outcome.replayed for outcome in made)
    return Response(await rendered(size, render), 200, replayed_headers(replayed), "application/json")


def _result(caller: Principal, texts: CreatedTexts, outcome: Created | JobtrackError) -> bytes:
    if isinstance(outcome, Created):
        return b'{"job":' + texts.write(outcome) + b"}"
    return to_json({"problem": error_document(outcome, caller)})


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
