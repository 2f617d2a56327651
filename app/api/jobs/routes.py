"""Jobs: create, read (and wait for one), rerun, cancel, delete."""

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import Body, Query, Request, Response

from app.api.examples import QUEUE, TYPE
from app.api.fields import MAX_INT
from app.api.headers import WAIT_ENDED, etag_of, known_version, preferred_wait, wait_ended, wait_seconds
from app.api.jobs.translate import created_document, shown_of_created, shown_of_rerun
from app.api.jobs.wire import JobCreated, JobIn, RerunIn
from app.api.responses import json_bytes, json_response, not_modified
from app.api.routes import JobIdText, problems, router
from app.api.translate import job_document
from app.api.wire import JobDetail, JobSummary
from app.core.waits import EndedBy
from app.domain.held import ONE_WAIT
from app.domain.job import Created, JobRef
from app.domain.principal import Principal, Scope
from app.domain.states import JobState
from app.web.auth import check_scope, requires
from app.web.deps import CoreServices
from app.web.disconnect import while_connected
from app.web.idempotency import IdempotencyKey, replayed_headers
from app.web.params import check_queue, job_id_of

jobs = router("Jobs")

Submitter = Annotated[Principal, requires(Scope.SUBMIT)]
Reader = Annotated[Principal, requires(Scope.READ)]

_LOCATION = {"Location": {"description": "URL of the job.", "schema": {"type": "string"}}}
_ETAG: dict[str, Any] = {"ETag": {"description": "The job's version.", "schema": {"type": "string"}}}
_APPLIED = {"Preference-Applied": {"description": "The wait that was applied.", "schema": {"type": "string"}}}
_KEPT_BY_CLIENTS = ((b"cache-control", b"private, no-cache"), (b"vary", b"Prefer, Authorization"))
_ORIGINAL = {"Link": {"description": '`rel="original"`: URL of the job that was rerun.', "schema": {"type": "string"}}}
_CONDITIONS: list[dict[str, Any]] = [
    {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "Version you have: 304 if it is unchanged. With `wait`, the response is sent when it changes.",
        "schema": {"type": "string"},
    },
    {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "`wait=N` has the effect of the query parameter.",
        "schema": {"type": "string"},
    },
]


@jobs.post(
    "/jobs",
    operation_id="jobs_create",
    summary="Create a job",
    status_code=201,
    response_model=JobCreated,
    responses={201: {"headers": _LOCATION, "description": "The new job."}, **problems(409, body=True)},
)
async def create(
    caller: Submitter,
    services: CoreServices,
    key: IdempotencyKey,
    job: Annotated[JobIn, Body(examples=[{"type": TYPE, "queue": QUEUE, "payload": {"folder": "/data"}}])],
) -> Response:
    """Create a job. With `claim` it is created already claimed, and the response includes the lease; 409 `queue_full`
    where the queue's `concurrency_limit` leaves no place.
    """
    check_queue(caller, job.queue)
    if job.claim is not None:
        check_scope(caller, Scope.WORK)
        key = key and key.of_caller(caller.key_id)
    created = await services.jobs.create(caller.project_id, job.to_domain(), idempotency=key)
    return _created(created, shown_of_created(caller))


@jobs.get(
    "/jobs/{job_id}",
    operation_id="jobs_get",
    summary="Read a job, or wait for it",
    response_model=JobDetail,
    responses={
        200: {"headers": _ETAG | _APPLIED | WAIT_ENDED, "description": "The job."},
        304: {"headers": _ETAG | _APPLIED | WAIT_ENDED, "description": "The job still has the version that you have."},
        **problems(404),
    },
    openapi_extra={"parameters": _CONDITIONS},
)
async def get_job(
    request: Request,
    caller: Reader,
    services: CoreServices,
    job_id: JobIdText,
    wait: Annotated[
        int | None,
        Query(ge=-1, le=MAX_INT, description="Seconds to wait until the job ends, at most 50; -1 waits 50 seconds."),
    ] = None,
) -> Response:
    """Return the job with payload, result and billing. A terminal job never changes, so it is returned at once."""
    ref = JobRef(caller.project_id, job_id_of(job_id))
    # Look at the raw names: most requests have neither header, and building the mapping of headers is not free.
    sent = {name for name, _ in request.scope["headers"]}
    requested_wait = preferred_wait(request) if wait is None and b"prefer" in sent else wait
    seconds = wait_seconds(requested_wait)
    headers = [*_KEPT_BY_CLIENTS]
    if requested_wait is not None:
        headers.append((b"preference-applied", b"wait=%d" % seconds))
    conditional = b"if-none-match" in sent

    def is_seen(version: int) -> bool:
        return known_version(request, version)

    ended_by = EndedBy.TIMEOUT
    if seconds > 0 and conditional:
        waiting = services.waits.changed(*ref, is_seen=is_seen, seconds=seconds)
        body, ended_by = await while_connected(request, waiting, ONE_WAIT)
    else:
        if seconds > 0:
            held = services.waits.wait(ref.project_id, [ref.job_id], seconds=seconds)
            ended_by = (await while_connected(request, held, ONE_WAIT)).ended_by
        elif requested_wait is None and conditional and is_seen(version := await services.jobs.version(*ref)):
            return not_modified([*headers, (b"etag", etag_of(version))])
        body = await services.jobs.detail(*ref)
    headers.append((b"etag", etag_of(body.version)))
    seen = conditional and is_seen(body.version)
    if requested_wait is not None:
        # The body that is sent decides: it was read last.
        met = body.terminal or (conditional and not seen)
        headers.append(wait_ended(EndedBy.CONDITION if met else ended_by))
    if seen:
        return not_modified(headers)
    return json_bytes(body.body, headers)


@jobs.post(
    "/jobs/{job_id}/rerun",
    operation_id="jobs_rerun",
    summary="Rerun a job that has ended",
    status_code=201,
    response_model=JobCreated,
    responses={201: {"headers": _LOCATION | _ORIGINAL, "description": "The new job."}, **problems(404, 409, body=True)},
)
async def rerun(
    caller: Submitter,
    services: CoreServices,
    key: IdempotencyKey,
    job_id: JobIdText,
    options: Annotated[RerunIn | None, Body(examples=[{"only_failed_items": True}])] = None,
) -> Response:
    """Create a copy of a terminal job, which stays unchanged. While a rerun of the same items is live, further calls
    without an Idempotency-Key return it; while one of other items is, they get 409 with that job. So do calls with
    `error_codes` while any is live.
    A key without `read` gets null for its payload. Of more than 5,000 items the rest are copied after the answer:
    `counts.total` is final at once, and no claim takes the job before they are there.
    """
    parsed = job_id_of(job_id)
    created = await services.jobs.rerun(
        caller.project_id,
        parsed,
        only_failed_items=options is not None and options.only_failed_items,
        error_codes=None if options is None else options.error_codes,
        idempotency=key,
        queues=caller.queues,
    )
    response = _created(created, shown_of_rerun(caller))
    response.headers["Link"] = f'</v1/jobs/{parsed}>; rel="original"'
    return response


@jobs.post(
    "/jobs/{job_id}/cancel",
    operation_id="jobs_cancel",
    summary="Cancel a job",
    response_model=JobSummary,
    responses={
        200: {"description": "The job is cancelled."},
        202: {"model": JobSummary, "headers": _LOCATION, "description": "A worker holds the job and will be notified."},
        **problems(404, 409),
    },
)
async def cancel(caller: Submitter, services: CoreServices, key: IdempotencyKey, job_id: JobIdText) -> Response:
    """Cancel a job. If a worker holds it, it is `cancelling` until the worker releases it. Repeating is safe."""
    parsed = job_id_of(job_id)
    job, replayed = await services.jobs.cancel(
        caller.project_id, parsed, by=caller.name, queues=caller.queues, idempotency=key
    )
    headers = replayed_headers(replayed)
    if job.state is JobState.CANCELLING:
        return json_response(job_document(job), 202, {"Location": f"/v1/jobs/{job.id}", **headers})
    return json_response(job_document(job), 200, headers)


@jobs.delete(
    "/jobs/{job_id}",
    operation_id="jobs_delete",
    summary="Delete a job that has ended",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "The job is deleted."}, **problems(404, 409)},
)
async def delete(caller: Submitter, services: CoreServices, key: IdempotencyKey, job_id: JobIdText) -> Response:
    """Delete a terminal job and everything that belongs to it. Cancel a live job first."""
    done = await services.jobs.delete(caller.project_id, job_id_of(job_id), queues=caller.queues, idempotency=key)
    return Response(status_code=204, headers=replayed_headers(done.replayed))


def _created(created: Created, shown: Collection[str]) -> Response:
    headers = {"Location": f"/v1/jobs/{created.job.id}", **replayed_headers(created.replayed)}
    return json_response(created_document(created, shown), 201, headers)
