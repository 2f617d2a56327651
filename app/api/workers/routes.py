"""Routes of workers: claim jobs, then report, complete, fail or release them under the lease token."""

from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Request, Response
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from app.api.responses import json_response
from app.api.routes import JobIdText, problems, router
from app.api.rows import BadRow, row_errors
from app.api.translate import error_document
from app.api.wire import JobSummary
from app.api.workers.texts import OutcomeTexts
from app.api.workers.translate import claimed_document, outcome_document
from app.api.workers.wire import (
    MAX_CLAIM_WAIT_SECONDS,
    Claimed,
    ClaimsIn,
    CompleteIn,
    FailIn,
    ReleaseIn,
    ReportedOut,
    ReportIn,
    ReportResults,
    ReportsIn,
)
from app.domain.errors import JobtrackError, NotFoundError
from app.domain.idempotency import Done, Idempotency
from app.domain.ids import parse_id
from app.domain.job import ClaimedJob, ClaimFilter
from app.domain.principal import Principal, Scope
from app.domain.worker_call import Replayed, WorkerCall
from app.web.auth import requires
from app.web.body import BATCH_BODY
from app.web.deps import CoreServices, Services
from app.web.disconnect import while_connected
from app.web.idempotency import IdempotencyKey, replayed_headers
from app.web.large import list_body, rendered
from app.web.params import check_queue, job_id_of

workers = router("Workers")
batches = router("Workers", BATCH_BODY)

WorkerKey = Annotated[Principal, requires(Scope.WORK)]

_TOKEN, _JOB = "0192f0c1-3b1d-4c56-8b57-0d4e6f1a2b3c", "0192f0c1-2f6e-7c3a-9d51-2b7a3f1c9e10"
_REPORT = {"token": _TOKEN, "stage": "embedding", "progress": 40, "items": [{"key": "a.pdf", "status": "completed"}]}
_COMPLETE_ROW = {"job_id": _JOB, "action": "complete", "token": _TOKEN, "result": {}}


@workers.post(
    "/claims",
    operation_id="claims_create",
    summary="Claim jobs, waiting for work",
    response_model=Claimed,
    responses={200: {"description": "The claimed jobs with their leases."}, **problems(body=True)},
)
async def claim(
    request: Request,
    caller: WorkerKey,
    services: CoreServices,
    key: IdempotencyKey,
    body: Annotated[ClaimsIn, Body(examples=[{"worker": "indexer-1", "queues": ["default"], "max": 4, "wait": 20}])],
) -> Response:
    """Claim jobs by queues and types, or by id. If the client disconnects, its claimed jobs are released at once.

    Fewer than `max` are claimed where they would be more than a response holds, 16 MiB by default; one always fits.
    """
    queues = body.queues
    for queue in queues or ():
        check_queue(caller, queue)
    if queues is None and caller.queues is not None:
        queues = sorted(caller.queues)
    job_ids = None
    if body.job_ids is not None:
        job_ids = tuple(job_id for text in dict.fromkeys(body.job_ids) if (job_id := parse_id(text)) is not None)
        if not job_ids:
            return json_response({"jobs": []})
    claimed = await while_connected(
        request,
        services.claims.claim(
            ClaimFilter(
                project_id=caller.project_id,
                queues=None if queues is None else tuple(queues),
                types=None if body.types is None else tuple(body.types),
                job_ids=job_ids,
            ),
            worker=body.worker,
            max_jobs=body.max,
            lease_seconds=body.lease_seconds,
            wait_seconds=min(body.wait, MAX_CLAIM_WAIT_SECONDS),
            idempotency=key and key.of_caller(caller.key_id),
            key=caller.ref,
        ),
    )

    def render() -> bytes:
        return list_body("jobs", (to_json(claimed_document(job)) for job in claimed.value))

    try:
        if claimed.value and await request.is_disconnected():
            raise ClientDisconnect  # noqa: TRY301 - given back below
        return _ClaimResponse(services, claimed, await rendered(sum(job.size for job in claimed.value), render))
    except BaseException:
        await services.leases.give_back(claimed.value)
        raise


class _ClaimResponse(Response):
    """Response with claimed jobs, which are released if it cannot be delivered."""

    def __init__(self, services: Services, claimed: Done[list[ClaimedJob]], body: bytes) -> None:
        super().__init__(body, 200, replayed_headers(claimed.replayed), "application/json")
        self._services = services
        self._claimed = claimed.value

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the response; release the jobs if that fails."""
        try:
            await super().__call__(scope, receive, send)
        except BaseException:
            await self._services.leases.give_back(self._claimed)
            raise


@workers.post(
    "/jobs/{job_id}/report",
    operation_id="jobs_report",
    summary="Report progress and extend the lease",
    response_model=ReportedOut,
    responses={200: {"description": "The remaining time of the lease."}, **problems(404, 409, body=True)},
)
async def report(
    caller: WorkerKey,
    services: CoreServices,
    key: IdempotencyKey,
    job_id: JobIdText,
    body: Annotated[ReportIn, Body(examples=[_REPORT])],
) -> Response:
    """Report progress and extend the lease. The response says whether cancellation was requested."""
    return await _submit(services, key, body.call(caller.project_id, job_id_of(job_id)))


@workers.post(
    "/jobs/{job_id}/complete",
    operation_id="jobs_complete",
    summary="Complete a job",
    response_model=JobSummary,
    responses={200: {"description": "The completed job."}, **problems(404, 409, body=True)},
)
async def complete(
    caller: WorkerKey,
    services: CoreServices,
    key: IdempotencyKey,
    job_id: JobIdText,
    body: Annotated[CompleteIn, Body(examples=[{"token": _TOKEN, "result": {"pages": 12}}])],
) -> Response:
    """Complete the job. Repeating the same completion returns the same response."""
    return await _submit(services, key, body.call(caller.project_id, job_id_of(job_id)))


@workers.post(
    "/jobs/{job_id}/fail",
    operation_id="jobs_fail",
    summary="Fail an attempt",
    response_model=JobSummary,
    responses={200: {"description": "The job: `retrying` while attempts remain."}, **problems(404, 409, body=True)},
)
async def fail(
    caller: WorkerKey,
    services: CoreServices,
    key: IdempotencyKey,
    job_id: JobIdText,
    body: Annotated[FailIn, Body(examples=[{"token": _TOKEN, "code": "source_gone", "message": "No such folder"}])],
) -> Response:
    """Fail the current attempt."""
    return await _submit(services, key, body.call(caller.project_id, job_id_of(job_id)))


@workers.post(
    "/jobs/{job_id}/release",
    operation_id="jobs_release",
    summary="Release a job",
    response_model=JobSummary,
    responses={200: {"description": "The job: `pending` again, or `cancelled`."}, **problems(404, 409, body=True)},
)
async def release(
    caller: WorkerKey,
    services: CoreServices,
    key: IdempotencyKey,
    job_id: JobIdText,
    body: Annotated[ReleaseIn, Body(examples=[{"token": _TOKEN}])],
) -> Response:
    """Release the job without counting the attempt. A worker also acknowledges a cancellation this way."""
    return await _submit(services, key, body.call(caller.project_id, job_id_of(job_id)))


async def _submit(services: Services, key: Idempotency | None, call: WorkerCall) -> Response:
    outcome = await services.leases.submit(replace(call, idempotency=key))
    if isinstance(outcome, Replayed):
        return json_response(outcome_document(outcome.outcome), 200, replayed_headers(True))
    return json_response(outcome_document(outcome))


@batches.post(
    "/reports",
    operation_id="reports_create",
    summary="Report on many jobs at once",
    response_model=ReportResults,
    responses={200: {"description": "One result per row, in the order of the request."}, **problems(body=True)},
)
async def reports(
    request: Request,
    caller: WorkerKey,
    services: CoreServices,
    key: IdempotencyKey,
    body: Annotated[ReportsIn, Body(examples=[{"reports": [_COMPLETE_ROW]}])],
) -> Response:
    """Submit up to 1,000 reports, completions, failures and releases. Each is applied or rejected independently; its
    result, billing and checkpoint take up to 1 MiB of JSON each.
    """
    errors = await row_errors(request, "reports", len(body.reports))
    ready = [error or _ready(caller.project_id, row) for row, error in zip(body.reports, errors, strict=True)]
    calls = [call for call in ready if isinstance(call, WorkerCall)]
    outcomes = iter(await services.leases.submit_many(calls, idempotency=key) if calls else ())
    results = []
    replayed, texts = False, OutcomeTexts()
    for row, call in zip(body.reports, ready, strict=True):
        outcome = next(outcomes) if isinstance(call, WorkerCall) else call
        if isinstance(outcome, JobtrackError):
            results.append(to_json({"job_id": row.job_id, "problem": error_document(outcome, caller)}))
        else:
            replayed = replayed or isinstance(outcome, Replayed)
            result = outcome.outcome if isinstance(outcome, Replayed) else outcome
            results.append(b'{"job_id":' + to_json(row.job_id) + b',"outcome":' + texts.write(result) + b"}")
    return Response(list_body("results", results), 200, replayed_headers(replayed), "application/json")


def _ready(project_id: UUID, row: Any) -> WorkerCall | JobtrackError:
    """Return the row's worker call, or the error that rejects the row."""
    if isinstance(row, BadRow):
        return row.error
    job_id = parse_id(row.job_id)
    if job_id is None:
        return NotFoundError("There is no such job.")
    call: WorkerCall = row.call(project_id, job_id)
    return call
