"""Server-sent events: all that happens in a project, and one job until it has ended."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request, Response

from app.api.events.translate import event_document, read_position, write_position
from app.api.fields import Name
from app.api.routes import JobIdText, problems, router
from app.api.translate import job_document
from app.core.events import Reset, StreamStarted
from app.domain.event import Position
from app.domain.job import Job
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import MAX_LENGTH, QUERY, CursorText
from app.web.deps import CoreServices, Services
from app.web.params import job_id_of
from app.web.sse import EventStreamResponse, sse_frame

streams = router("History")

Reader = Annotated[Principal, requires(Scope.READ)]
LastEventId = Annotated[
    CursorText | None, Query(description="The id of the last event you have; `Last-Event-ID` wins.")
]

_LAST_EVENT_ID: Final[dict[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last event you have: the stream goes on behind it, without gap or repeat.",
    "schema": {"type": "string", "maxLength": MAX_LENGTH},
}


def _stream(description: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "description": "Events whose data is JSON."}
    return {200: {"description": description, "content": {"text/event-stream": {"schema": schema}}}}


@streams.get(
    "/events",
    operation_id="events_stream",
    summary="Stream what happens",
    response_class=Response,
    responses={**_stream("`snapshot`, then an event for everything that happens."), **problems()},
    openapi_extra={"parameters": [_LAST_EVENT_ID]},
)
async def stream_events(
    request: Request,
    caller: Reader,
    services: CoreServices,
    cursor: LastEventId = None,
    type: Annotated[  # noqa: A002 - the parameter's name on the wire
        list[Name] | None, Query(max_length=20, description="Only events of these types, as `job.completed`.")
    ] = None,
    queue: Annotated[list[Name] | None, Query(max_length=20, description="Only jobs of these queues.")] = None,
) -> Response:
    """Send every event of the project from now on, or from where you were, in the order of their commits.

    Without a cursor the first event is `snapshot`: the live jobs by status, and the id from which the stream begins.
    A reader that is too slow gets `reset` and is cut off: it reads what it needs anew, and begins again. The stream
    ends after ten minutes; clients come back by themselves.
    """
    after = _resumed(request, caller.project_id, cursor)
    types = frozenset(type) if type else None
    queues = frozenset(queue) if queue else None
    return EventStreamResponse(request, _events(services, caller.project_id, after, types, queues))


async def _events(
    services: Services,
    project_id: UUID,
    after: Position | None,
    types: frozenset[str] | None,
    queues: frozenset[str] | None,
) -> AsyncGenerator[bytes, None]:
    # Closed with this generator, and not whenever it is collected: a subscription would gather events till then.
    async with aclosing(services.events.follow(project_id, after)) as following:
        async for told in following:
            if isinstance(told, StreamStarted):
                depths = await services.queues.live_jobs(project_id)
                yield sse_frame("snapshot", {"jobs": depths}, write_position(project_id, told.position))
            elif isinstance(told, Reset):
                yield sse_frame("reset", {"reason": "too_slow"})
            elif (types is None or told.type in types) and (queues is None or told.queue in queues):
                document = event_document(told)
                yield sse_frame(told.type, document, document["id"])


@streams.get(
    "/jobs/{job_id}/stream",
    operation_id="jobs_stream",
    summary="Stream one job until it has ended",
    response_class=Response,
    responses={**_stream("`snapshot`, then `job.*` events, and `job` when it changed."), **problems(404)},
    openapi_extra={"parameters": [_LAST_EVENT_ID]},
)
async def stream_job(
    request: Request, caller: Reader, services: CoreServices, job_id: JobIdText, cursor: LastEventId = None
) -> Response:
    """Send the job as it is (`snapshot`), then each event, and the job whenever it has changed (`job`).

    The stream ends when the job has: its last two events are the job's end and the job as it will always be.
    """
    parsed = job_id_of(job_id)
    after = _resumed(request, caller.project_id, cursor)
    # Here, where it can still be a 404.
    await services.jobs.get(caller.project_id, parsed)
    return EventStreamResponse(request, _job(services, caller.project_id, parsed, after))


async def _job(
    services: Services, project_id: UUID, job_id: UUID, after: Position | None
) -> AsyncGenerator[bytes, None]:
    name = "snapshot"
    last = None if after is None else after.id
    async with aclosing(services.events.follow_job(project_id, job_id, last)) as following:
        async for told in following:
            if isinstance(told, Job):
                yield sse_frame(name, job_document(told))
                name = "job"
            else:
                document = event_document(told)
                yield sse_frame(told.type, document, document["id"])


def _resumed(request: Request, project_id: UUID, cursor: str | None) -> Position | None:
    # A browser that has had no id sends none, or an empty one.
    last = request.headers.get("last-event-id")
    if last:
        return read_position(project_id, last, pointer=f"header:{_LAST_EVENT_ID['name']}")
    return None if cursor is None else read_position(project_id, cursor, pointer=QUERY)
