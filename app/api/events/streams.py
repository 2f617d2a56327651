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
from app.domain.held import JOB_STREAM, STREAM
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
    CursorText | None, Query(description="Id of the last event received; `Last-Event-ID` takes precedence.")
]

_LAST_EVENT_ID: Final[dict[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "Id of the last event received: the stream resumes after it, without gaps or repeats.",
    "schema": {"type": "string", "maxLength": MAX_LENGTH},
}

_OTHER_CLUSTER: Final = sse_frame("reset", {"reason": "other_cluster"})


def _stream(description: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "description": "Events whose data is JSON."}
    return {200: {"description": description, "content": {"text/event-stream": {"schema": schema}}}}


@streams.get(
    "/events",
    operation_id="events_stream",
    summary="Stream events",
    response_class=Response,
    responses={**_stream("A `snapshot` event, then every event of the project."), **problems()},
    openapi_extra={"parameters": [_LAST_EVENT_ID]},
)
async def stream_events(
    request: Request,
    caller: Reader,
    services: CoreServices,
    cursor: LastEventId = None,
    type: Annotated[  # noqa: A002 - the parameter's name on the wire
        list[Name] | None, Query(max_length=20, description="Only events of these types, such as `job.completed`.")
    ] = None,
    queue: Annotated[list[Name] | None, Query(max_length=20, description="Only jobs of these queues.")] = None,
) -> Response:
    """Stream every event of the project in commit order, from now on or from the given cursor.

    Without a cursor the first event is `snapshot`: the live jobs by status, and the id at which the stream begins.
    A reader that falls too far behind gets `reset` and is disconnected; it must read the current state and start again.
    So must one whose cursor is from before the database was restored into another cluster: its stream begins with
    `reset`, and goes on like one without a cursor. While another transaction on the database server holds events back,
    the comments that keep the stream alive say so.
    The stream ends after ten minutes; standard clients reconnect automatically.

    From a shell use `curl -N`, which shows each event as it comes:
    `curl -N -H "Authorization: Bearer $JOBTRACK_API_KEY" "$JOBTRACK_URL/v1/events"`.
    Swagger UI cannot show a stream, and most generated clients return only at its end.
    """
    after, is_reset = await _resumed(request, services, caller.project_id, cursor)
    types = frozenset(type) if type else None
    queues = frozenset(queue) if queue else None
    frames = _events(services, caller.project_id, after, types, queues, is_reset=is_reset)

    def comment() -> str:
        seconds = services.events.held_up_seconds()
        return "still here" if seconds is None else f"held up for {seconds:.0f} s by an open transaction elsewhere"

    return EventStreamResponse(request, frames, STREAM, comment=comment)


async def _events(
    services: Services,
    project_id: UUID,
    after: Position | None,
    types: frozenset[str] | None,
    queues: frozenset[str] | None,
    *,
    is_reset: bool,
) -> AsyncGenerator[bytes, None]:
    if is_reset:
        yield _OTHER_CLUSTER
    # Close the subscription together with this generator instead of waiting for garbage collection; until then it would
    # keep buffering events.
    async with aclosing(services.events.follow(project_id, after)) as following:
        async for event in following:
            if isinstance(event, StreamStarted):
                depths = await services.queues.live_jobs(project_id)
                yield sse_frame("snapshot", {"jobs": depths}, write_position(project_id, event.position))
            elif isinstance(event, Reset):
                yield sse_frame("reset", {"reason": "too_slow"})
            elif (types is None or event.type in types) and (queues is None or event.queue in queues):
                document = event_document(event)
                yield sse_frame(event.type, document, document["id"])


@streams.get(
    "/jobs/{job_id}/stream",
    operation_id="jobs_stream",
    summary="Stream one job until it has ended",
    response_class=Response,
    responses={
        **_stream("A `snapshot` event, then `job.*` events, and `job` whenever the job changes."),
        204: {"description": "The job has ended and the given id is that of its last event; `EventSource` stops."},
        **problems(404),
    },
    openapi_extra={"parameters": [_LAST_EVENT_ID]},
)
async def stream_job(
    request: Request, caller: Reader, services: CoreServices, job_id: JobIdText, cursor: LastEventId = None
) -> Response:
    """Stream the current job (`snapshot`), then each event, and the job whenever it changes (`job`).

    Its last two events are the job in its final state and the event of its end. A stream that ends before them was cut
    off (by a restart of the service, or after ten minutes): reconnect with the id of the last event, as standard
    clients do. A request with the id of the job's last event gets 204, after which `EventSource` does not reconnect. Of
    a job that has ended before the first request the `snapshot` is all, and has that id. An id from before the database
    was restored into another cluster gets `reset` first, and then the same as none.

    From a shell use `curl -N`, which shows each event as it comes:
    `curl -N -H "Authorization: Bearer $JOBTRACK_API_KEY" "$JOBTRACK_URL/v1/jobs/$JOB/stream"`.
    Swagger UI cannot show a stream, and most generated clients return only at its end.
    """
    parsed = job_id_of(job_id)
    after, is_reset = await _resumed(request, services, caller.project_id, cursor)
    # Checked before the response starts, while it can still be a 404.
    if await services.events.is_over(caller.project_id, parsed, after):
        return Response(status_code=204, headers={"Cache-Control": "no-cache"})
    frames = _job(services, caller.project_id, parsed, after, is_reset=is_reset)
    return EventStreamResponse(request, frames, JOB_STREAM)


async def _job(
    services: Services, project_id: UUID, job_id: UUID, after: Position | None, *, is_reset: bool
) -> AsyncGenerator[bytes, None]:
    if is_reset:
        yield _OTHER_CLUSTER
    name, begins_at = "snapshot", None
    async with aclosing(services.events.follow_job(project_id, job_id, after)) as following:
        async for event in following:
            if isinstance(event, StreamStarted):
                # The id of the snapshot, so that who has heard nothing else yet comes back there and not later.
                begins_at = write_position(project_id, event.position)
            elif isinstance(event, Job):
                yield sse_frame(name, job_document(event), begins_at)
                name, begins_at = "job", None
            else:
                document = event_document(event)
                yield sse_frame(event.type, document, document["id"])


async def _resumed(
    request: Request, services: Services, project_id: UUID, cursor: str | None
) -> tuple[Position | None, bool]:
    """Return the position to resume after, and whether there was one that means nothing in this cluster."""
    # A browser that has not received an id sends no header, or an empty one.
    last = request.headers.get("last-event-id")
    if not last and cursor is None:
        return None, False
    pointer = f"header:{_LAST_EVENT_ID['name']}" if last else QUERY
    position = read_position(project_id, last or cursor or "", pointer=pointer)
    # An event and no 410, after which a browser's `EventSource` would not come back. Its next id is the snapshot's.
    is_current = await services.events.is_current(project_id, position)
    return (position, False) if is_current else (None, True)
