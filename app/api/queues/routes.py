"""Queues: how deep they are, and what is set for them."""

from typing import Annotated

from fastapi import Body as FromBody
from fastapi import Path, Query, Response

from app.api.queues.translate import queue_document
from app.api.queues.wire import QueueIn, QueueList, QueueOut
from app.api.responses import json_response
from app.api.routes import problems, router
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import NameCursorText, read_name_cursor, write_name_cursor
from app.web.deps import Acting, CoreServices
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
        examples=["default"],
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
        int, Query(ge=0, description="At most this many, up to 500; more is taken as 500, 0 as the default.")
    ] = DEFAULT_LIMIT,
    cursor: Annotated[NameCursorText | None, Query(description="`next_cursor` of the page before.")] = None,
) -> Response:
    """Give the queues that jobs were made in or that were set up. Depths are at most a second old."""
    found, after = await services.queues.page(
        caller.project_id,
        after="" if cursor is None else read_name_cursor(cursor, "queues"),
        limit=min(limit, MAX_LIMIT) or DEFAULT_LIMIT,
    )
    next_cursor = None if after is None else write_name_cursor(after, "queues")
    return json_response({"queues": [queue_document(view) for view in found], "next_cursor": next_cursor})


@queues.get(
    "/queues/{queue:path}",
    operation_id="queues_get",
    summary="Read a queue",
    response_model=QueueOut,
    responses={200: {"description": "The queue."}, **problems(404)},
)
async def get_queue(caller: Reader, services: CoreServices, queue: QueueName) -> Response:
    """Give a queue's rules, depth and rates."""
    return json_response(queue_document(await services.queues.get(caller.project_id, queue)))


@queues.put(
    "/queues/{queue:path}",
    operation_id="queues_put",
    summary="Set up a queue",
    response_model=QueueOut,
    responses={200: {"description": "The queue as it is now."}, **problems(body=True)},
    dependencies=[requires(Scope.ADMIN)],
)
async def put_queue(
    actor: Acting,
    services: CoreServices,
    queue: QueueName,
    rules: Annotated[QueueIn, FromBody(examples=[{"concurrency_limit": 4, "retention": {"seconds": 604800}}])],
) -> Response:
    """Set all of a queue's rules; makes the queue if it is new. A limit holds for claims from the next second on: jobs
    that are held already go on.
    """
    check_queue(actor.principal, queue)
    return json_response(queue_document(await services.queues.put(actor, queue, rules.to_domain())))


@queues.post(
    "/queues/{queue:path}/pause",
    operation_id="queues_pause",
    summary="Pause a queue",
    response_model=QueueOut,
    responses={200: {"description": "The queue, paused."}, **problems(404)},
    dependencies=[requires(Scope.ADMIN)],
)
async def pause(actor: Acting, services: CoreServices, queue: QueueName) -> Response:
    """Hand out nothing more by queue or type. What is held goes on, jobs can still be made and claimed by id."""
    check_queue(actor.principal, queue)
    view = await services.queues.set_paused(actor, queue, paused=True)
    return json_response(queue_document(view))


@queues.post(
    "/queues/{queue:path}/resume",
    operation_id="queues_resume",
    summary="Resume a queue",
    response_model=QueueOut,
    responses={200: {"description": "The queue, going on."}, **problems(404)},
    dependencies=[requires(Scope.ADMIN)],
)
async def resume(actor: Acting, services: CoreServices, queue: QueueName) -> Response:
    """Hand out jobs again. Idle workers hear of it within a second."""
    check_queue(actor.principal, queue)
    view = await services.queues.set_paused(actor, queue, paused=False)
    return json_response(queue_document(view))
