"""Routes of workers about the jobs they hold: report, complete, fail or release under the lease token."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Request, Response
from pydantic_core import to_json

from app.api.examples import JOB_ID, TOKEN
from app.api.responses import json_response
from app.api.routes import JobIdText, problems, router
from app.api.rows import BadRow, row_errors
from app.api.translate import error_document
from app.api.workers.claim_wire import EndedOut
from app.api.workers.claims import NextClaim, WorkerKey, claimed_response
from app.api.workers.texts import OutcomeTexts
from app.api.workers.translate import outcome_document
from app.api.workers.wire import (
    CompleteIn,
    Ending,
    FailIn,
    ReleaseIn,
    ReportedOut,
    ReportIn,
    ReportResults,
    ReportsIn,
)
from app.domain.errors import JobtrackError, NotFoundError
from app.domain.idempotency import Idempotency
from app.domain.ids import parse_id
from app.domain.principal import Principal
from app.domain.worker_call import Ended, Replayed, WorkerCall
from app.web.body import BATCH_BODY
from app.web.deps import CoreServices, Services
from app.web.idempotency import EndingKey, IdempotencyKey, replayed_headers
from app.web.large import list_body, with_list
from app.web.params import job_id_of

workers = router("Workers")
batches = router("Workers", BATCH_BODY)

_REPORT = {"token": TOKEN, "stage": "embedding", "progress": 40, "items": [{"key": "a.pdf", "status": "completed"}]}
_COMPLETE_ROW = {"job_id": JOB_ID, "action": "complete", "token": TOKEN, "result": {}}


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
    outcome = await services.leases.submit(replace(body.call(caller.project_id, job_id_of(job_id)), idempotency=key))
    if isinstance(outcome, Replayed):
        return json_response(outcome_document(outcome.outcome), 200, replayed_headers(True))
    return json_response(outcome_document(outcome))


@workers.post(
    "/jobs/{job_id}/complete",
    operation_id="jobs_complete",
    summary="Complete a job",
    response_model=EndedOut,
    responses={200: {"description": "The completed job."}, **problems(404, 409, body=True)},
)
async def complete(
    request: Request,
    caller: WorkerKey,
    services: CoreServices,
    key: EndingKey,
    job_id: JobIdText,
    body: Annotated[CompleteIn, Body(examples=[{"token": TOKEN, "result": {"pages": 12}}])],
) -> Response:
    """Complete the job, and claim the next ones with the same call. Repeating the same completion returns the same
    response, with nothing claimed.
    """
    return await _end(request, caller, services, key, body.call(caller.project_id, job_id_of(job_id)), body)


@workers.post(
    "/jobs/{job_id}/fail",
    operation_id="jobs_fail",
    summary="Fail an attempt",
    response_model=EndedOut,
    responses={200: {"description": "The job: `retrying` while attempts remain."}, **problems(404, 409, body=True)},
)
async def fail(
    request: Request,
    caller: WorkerKey,
    services: CoreServices,
    key: EndingKey,
    job_id: JobIdText,
    body: Annotated[FailIn, Body(examples=[{"token": TOKEN, "code": "source_gone", "message": "No such folder"}])],
) -> Response:
    """Fail the current attempt."""
    return await _end(request, caller, services, key, body.call(caller.project_id, job_id_of(job_id)), body)


@workers.post(
    "/jobs/{job_id}/release",
    operation_id="jobs_release",
    summary="Release a job",
    response_model=EndedOut,
    responses={200: {"description": "The job: `pending` again, or `cancelled`."}, **problems(404, 409, body=True)},
)
async def release(
    request: Request,
    caller: WorkerKey,
    services: CoreServices,
    key: EndingKey,
    job_id: JobIdText,
    body: Annotated[ReleaseIn, Body(examples=[{"token": TOKEN}])],
) -> Response:
    """Release the job without counting the attempt. A worker also acknowledges a cancellation this way."""
    return await _end(request, caller, services, key, body.call(caller.project_id, job_id_of(job_id)), body)


async def _end(
    request: Request, caller: Principal, services: Services, key: Idempotency | None, call: WorkerCall, body: Ending
) -> Response:
    claim = None if body.claim is None else NextClaim(request, caller, services, key, body.claim)
    outcome = await services.leases.submit(replace(call, idempotency=key))
    ended = outcome.outcome if isinstance(outcome, Replayed) else outcome
    document, headers = outcome_document(ended), replayed_headers(isinstance(outcome, Replayed))
    if claim is None or not isinstance(ended, Ended):
        return json_response(document, 200, headers)
    claimed = await claim.take([outcome], ended.worker or "")
    write = partial(with_list, to_json(document), "claimed")
    return await claimed_response(request, services, claimed, write, headers)


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
    key: EndingKey,
    body: Annotated[ReportsIn, Body(examples=[{"reports": [_COMPLETE_ROW]}])],
) -> Response:
    """Submit up to 1,000 reports, completions, failures and releases. Each is applied or rejected independently; its
    result, billing and checkpoint take up to 1 MiB of JSON each.
    """
    errors = await row_errors(request, "reports", len(body.reports))
    ready = [error or _ready(caller.project_id, row) for row, error in zip(body.reports, errors, strict=True)]
    calls = [call for call in ready if isinstance(call, WorkerCall)]
    claim = None if body.claim is None else NextClaim(request, caller, services, key, body.claim)
    submitted = await services.leases.submit_many(calls, idempotency=key) if calls else []
    outcomes = iter(submitted)
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
    document, headers = list_body("results", results), replayed_headers(replayed)
    if claim is None or body.claim is None:
        return Response(document, 200, headers, "application/json")
    claimed = await claim.take(submitted, body.claim.worker)
    return await claimed_response(request, services, claimed, partial(with_list, document, "claimed"), headers)


def _ready(project_id: UUID, row: Any) -> WorkerCall | JobtrackError:
    """Return the row's worker call, or the error that rejects the row."""
    if isinstance(row, BadRow):
        return row.error
    job_id = parse_id(row.job_id)
    if job_id is None:
        return NotFoundError("There is no such job.")
    call: WorkerCall = row.call(project_id, job_id)
    return call
