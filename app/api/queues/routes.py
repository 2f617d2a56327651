"""Queues: how deep they are, and what is set for them."""

from typing import Annotated

from fastapi import Body as FromBody
from fastapi import Path, Query, Response

from app.api.examples import QUEUE
from app.api.queues.translate import queue_document
from app.api.queues.wire import PauseIn, QueueIn, QueueList, QueueOut
from app.api.responses import json_response
from app.api.routes import problems, router
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import NameCursorText, read_name_cursor, write_name_cursor
from app.web.deps import Acting, CoreServices
from app.web.idempotency import IdempotencyKey, replayed_headers
from app.web.params import check_queue

queues = router("Queues")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

QueueName = Annotated[
    str,
    Path(
        alias="queue",
        min_length=1,
        max_length=255,
        description="The queue's name, percent-encoded.",
        examples=[QUEUE],
    ),
]
Reader = Annotated[Principal, requires(Scope.READ)]


@queues.get(
    "/queues",
    operation_id="queues_list",
    summary="List queues",
    response_model=QueueList,
    responses={200: {"description": "A page, in the order of the names."}, **problems()},
)
async def list_queues(
    caller: Reader,
    services: CoreServices,
    limit: Annotated[
        int, Query(ge=0, description="Page size, 1-500 (default 50); larger values are capped, 0 means the default.")
    ] = DEFAULT_LIMIT,
    cursor: Annotated[NameCursorText | None, Query(description="`next_cursor` of the previous page.")] = None,
    name: Annotated[
        str, Query(max_length=255, description="Only queues whose names contain this, in upper or lower case.")
    ] = "",
) -> Response:
    """List queues that were configured or had jobs. Depths are at most one second old."""
    bound = ("queues", name) if name else ("queues",)
    found, after = await services.queues.page(
        caller.project_id,
        after="" if cursor is None else read_name_cursor(cursor, *bound),
        part=name,
        limit=min(limit, MAX_LIMIT) or DEFAULT_LIMIT,
    )
    next_cursor = None if after is None else write_name_cursor(after, *bound)
    return json_response({"queues": [queue_document(view) for view in found], "next_cursor": next_cursor})


@queues.get(
    "/queues/{queue:path}",
    operation_id="queues_get",
    summary="Read a queue",
    response_model=QueueOut,
    responses={200: {"description": "The queue."}, **problems()},
)
async def get_queue(caller: Reader, services: CoreServices, queue: QueueName) -> Response:
    """Return a queue's rules, depth and rates. A name that nothing was set for has the defaults."""
    return json_response(queue_document(await services.queues.get(caller.project_id, queue)))


@queues.put(
    "/queues/{queue:path}",
    operation_id="queues_put",
    summary="Configure a queue",
    response_model=QueueOut,
    responses={200: {"description": "The updated queue."}, **problems(body=True)},
    dependencies=[requires(Scope.ADMIN)],
)
async def put_queue(
    actor: Acting,
    services: CoreServices,
    key: IdempotencyKey,
    queue: QueueName,
    rules: Annotated[QueueIn, FromBody(examples=[{"concurrency_limit": 4, "retention": {"seconds": 604800}}])],
) -> Response:
    """Replace all rules of a queue, creating it if needed. A new limit applies within one second; jobs already claimed
    continue. A pause stops claims by queue or type, not by id. A new name has no control characters and no part `.` or
    `..` between slashes, and does not end in `/pause` or `/resume`.
    """
    check_queue(actor.principal, queue)
    view, replayed = await services.queues.put(actor, queue, rules.to_domain(), idempotency=key)
    return json_response(queue_document(view), 200, replayed_headers(replayed))


@queues.post(
    "/queues/{queue:path}/pause",
    operation_id="queues_pause",
    summary="Pause a queue",
    response_model=QueueOut,
    responses={200: {"description": "The paused queue."}, **problems(body=True)},
    dependencies=[requires(Scope.ADMIN)],
)
async def pause(
    actor: Acting,
    services: CoreServices,
    key: IdempotencyKey,
    queue: QueueName,
    body: Annotated[PauseIn | None, FromBody(examples=[{"reason": "The index is being rebuilt."}])] = None,
) -> Response:
    """Stop claims by queue or type, until `until` if that is given. Claimed jobs continue, and jobs can still be
    created, also already claimed, and claimed by id. A repeat replaces reason and end.
    """
    check_queue(actor.principal, queue)
    chosen = (body or PauseIn()).to_domain()
    view, replayed = await services.queues.set_paused(actor, queue, chosen, idempotency=key)
    return json_response(queue_document(view), 200, replayed_headers(replayed))


@queues.post(
    "/queues/{queue:path}/resume",
    operation_id="queues_resume",
    summary="Resume a queue",
    response_model=QueueOut,
    responses={200: {"description": "The resumed queue."}, **problems()},
    dependencies=[requires(Scope.ADMIN)],
)
async def resume(actor: Acting, services: CoreServices, key: IdempotencyKey, queue: QueueName) -> Response:
    """Allow claims again. Idle workers notice within one second."""
    check_queue(actor.principal, queue)
    view, replayed = await services.queues.set_paused(actor, queue, None, idempotency=key)
    return json_response(queue_document(view), 200, replayed_headers(replayed))


@queues.delete(
    "/queues/{queue:path}",
    operation_id="queues_delete",
    summary="Delete a queue",
    status_code=204,
    responses={204: {"description": "The queue and its rules are forgotten."}, **problems(409)},
    dependencies=[requires(Scope.ADMIN)],
)
async def delete(actor: Acting, services: CoreServices, key: IdempotencyKey, queue: QueueName) -> Response:
    """Forget a queue's rules, and its name until a job uses it again. Refused (409 `queue_in_use`) while it has live
    jobs; ended ones stay, and are kept as the service's defaults say.
    """
    check_queue(actor.principal, queue)
    _, replayed = await services.queues.delete(actor, queue, idempotency=key)
    return Response(status_code=204, headers=replayed_headers(replayed))
