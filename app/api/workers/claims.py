"""Claims: the route, and the claims that other calls of workers carry. Whoever leaves gives back what it claimed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import Body, Request, Response
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from app.api.examples import QUEUE, WORKER
from app.api.responses import json_response
from app.api.routes import problems, router
from app.api.workers.claim_wire import MAX_CLAIM_WAIT_SECONDS, Claimed, ClaimsIn, IncludedInClaim, NextClaimIn
from app.api.workers.translate import claimed_document
from app.domain.errors import JobtrackError
from app.domain.held import claim_by
from app.domain.idempotency import Idempotency
from app.domain.ids import parse_id
from app.domain.job import ClaimedJob, ClaimFilter
from app.domain.principal import Principal, Scope
from app.domain.worker_call import Ended, Replayed, Reported, WorkerOutcome
from app.web.auth import requires
from app.web.deps import CoreServices, Services
from app.web.disconnect import while_connected
from app.web.idempotency import IdempotencyKey, replayed_headers
from app.web.large import list_body, rendered
from app.web.params import check_queue

log = structlog.get_logger(__name__)

claims = router("Workers")
MAX_CLIENT_LENGTH = 255

# The lease is long enough for somebody who presses the buttons of Swagger UI.
_EXAMPLE = {"worker": WORKER, "queues": [QUEUE], "lease_seconds": 300, "wait": 2}

WorkerKey = Annotated[Principal, requires(Scope.WORK)]


@claims.post(
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
    body: Annotated[ClaimsIn, Body(examples=[_EXAMPLE])],
) -> Response:
    """Claim jobs by queues and types, or by id. If the client disconnects, its claimed jobs are released at once.

    Fewer than `max` are claimed where they would be more than a response holds, 16 MiB by default; one always fits.
    `include: ["items"]` adds the unfinished items of each job, the first thousand, as far as the response has room:
    of a rerun the items that it is about. Their `next_cursor` goes on with
    `GET /v1/jobs/{id}/items?status=queued&status=processing`.
    """
    job_ids = None
    if body.job_ids is not None:
        job_ids = tuple(job_id for text in dict.fromkeys(body.job_ids) if (job_id := parse_id(text)) is not None)
    chosen = claim_filter(caller, body.queues, body.types, job_ids)
    if job_ids == ():
        return json_response({"jobs": []})
    claiming = services.claims.claim(
        chosen,
        worker=body.worker,
        max_jobs=body.max,
        lease_seconds=body.lease_seconds,
        wait_seconds=min(body.wait, MAX_CLAIM_WAIT_SECONDS),
        idempotency=key and key.of_caller(caller.key_id),
        key=caller.ref,
        client=client_of(request),
        with_items=IncludedInClaim.ITEMS in (body.include or ()),
    )
    # Where nothing is waited for, it is enough to look afterwards whether the client is still there.
    held = claim_by(chosen, body.wait)
    claimed = await (while_connected(request, claiming, held) if body.wait > 0 else claiming)
    write = partial(list_body, "jobs")
    return await claimed_response(request, services, claimed.value, write, replayed_headers(claimed.replayed))


def client_of(request: Request) -> str | None:
    """Return what a claim says about the program that sends it."""
    return request.headers.get("user-agent", "")[:MAX_CLIENT_LENGTH] or None


def claim_filter(
    caller: Principal, queues: list[str] | None, types: list[str] | None, job_ids: tuple[UUID, ...] | None = None
) -> ClaimFilter:
    """Return which jobs a claim is about: of the key's queues alone. Raises ForbiddenError for another queue."""
    for queue in queues or ():
        check_queue(caller, queue)
    if queues is None and caller.queues is not None:
        queues = sorted(caller.queues)
    return ClaimFilter(
        project_id=caller.project_id,
        queues=None if queues is None else tuple(queues),
        types=None if types is None else tuple(types),
        job_ids=job_ids,
    )


class NextClaim:
    """The claim that a worker's call carries. Its queues are checked here, before the call is carried out."""

    def __init__(
        self, request: Request, caller: Principal, services: Services, key: Idempotency | None, body: NextClaimIn
    ) -> None:
        self._client = client_of(request)
        self._services = services
        self._filter = claim_filter(caller, body.queues, body.types)
        self._body = body
        self._with_items = IncludedInClaim.ITEMS in (body.include or ())
        # Of the caller, as any claim's: with the token of another's lease its jobs could be ended.
        self._key = key and key.of_caller(caller.key_id).of_row("claim")

    async def take(self, outcomes: Sequence[WorkerOutcome | JobtrackError], worker: str) -> list[ClaimedJob]:
        """Claim once the call is carried out, with these outcomes: nothing if it was refused or is a repeat.

        The repeat under an Idempotency-Key gets the jobs of the first call that are still held. The call itself is done
        and committed: if the jobs cannot be had, there are none.
        """
        claims = self._services.claims
        try:
            if self._key is not None and any(isinstance(outcome, Replayed) for outcome in outcomes):
                return await claims.claimed_before(self._filter.project_id, self._key, with_items=self._with_items)
            if not any(map(_is_new, outcomes)):
                return []
            claimed = await claims.claim(
                self._filter,
                worker=worker,
                max_jobs=self._body.max,
                lease_seconds=self._body.lease_seconds,
                wait_seconds=0,
                idempotency=self._key,
                client=self._client,
                with_items=self._with_items,
            )
        except JobtrackError as error:
            log.warning("no jobs could be claimed with a worker's call", error=error.message)
            return []
        return claimed.value


def _is_new(outcome: WorkerOutcome | JobtrackError) -> bool:
    return isinstance(outcome, Reported) or (isinstance(outcome, Ended) and not outcome.recorded)


async def claimed_response(
    request: Request,
    services: Services,
    jobs: Sequence[ClaimedJob],
    write: Callable[[Iterable[bytes]], bytes],
    headers: Mapping[str, str],
) -> Response:
    """Return a response with claimed jobs, which `write` makes of them, or release them if the client is gone."""

    def render() -> bytes:
        return write(to_json(claimed_document(job)) for job in jobs)

    try:
        if jobs and await request.is_disconnected():
            raise ClientDisconnect  # noqa: TRY301 - given back below
        return _ClaimedResponse(services, jobs, await rendered(sum(job.size for job in jobs), render), headers)
    except BaseException:
        await services.leases.give_back(jobs)
        raise


class _ClaimedResponse(Response):
    """Response with claimed jobs, which are released if it cannot be delivered."""

    def __init__(
        self, services: Services, claimed: Sequence[ClaimedJob], body: bytes, headers: Mapping[str, str]
    ) -> None:
        super().__init__(body, 200, dict(headers), "application/json")
        self._services = services
        self._claimed = claimed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the response; release the jobs if that fails."""
        try:
            await super().__call__(scope, receive, send)
        except BaseException:
            await self._services.leases.give_back(self._claimed)
            raise
