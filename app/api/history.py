"""What happened to a job: its events, attempt by attempt, and the lines that its workers wrote."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response

from app.api.fields import MAX_BIGINT, MAX_INT
from app.api.headers import MAX_WAIT_SECONDS
from app.api.history_models import EventList, LogLines
from app.api.render import json_response, time_text
from app.api.routes import JobIdText, problems, router
from app.domain.event import JobEventRecord, Position
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import MAX_ROW, QUERY, CursorText, InvalidCursorError, read_cursor, write_cursor
from app.web.deps import CoreServices
from app.web.disconnect import while_connected
from app.web.params import job_id_of

history = router("History")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_LINES = 1000

Reader = Annotated[Principal, requires(Scope.READ)]
_ID_BITS = 64
_IDS = 1 << _ID_BITS


def write_position(project_id: UUID, position: Position) -> str:
    """Write an event's id: a cursor that is good for this project's events and nothing else."""
    return write_cursor(position.xid << _ID_BITS | position.id, "events", str(project_id))


def read_position(project_id: UUID, cursor: str, *, pointer: str = QUERY) -> Position:
    """Read an event's id, which came in the place that `pointer` names."""
    most = MAX_ROW << _ID_BITS | MAX_ROW
    position = Position(*divmod(read_cursor(cursor, "events", str(project_id), most=most, pointer=pointer), _IDS))
    if position.id > MAX_ROW:
        raise InvalidCursorError(pointer)
    return position


def event_document(event: JobEventRecord) -> dict[str, Any]:
    """Describe an event."""
    return {
        "id": write_position(event.project_id, event.position),
        "type": event.type,
        "job_id": str(event.job_id),
        "at": time_text(event.at),
        "attempt": event.attempt,
        "worker": event.worker,
        "from": event.source and event.source.value,
        "to": event.target.value,
        "data": event.data,
    }


@history.get(
    "/jobs/{job_id}/events",
    operation_id="jobs_events",
    summary="Read a job's history",
    response_model=EventList,
    responses={200: {"description": "A page, the oldest first."}, **problems(404)},
)
async def list_events(
    caller: Reader,
    services: CoreServices,
    job_id: JobIdText,
    limit: Annotated[
        int, Query(ge=0, description="At most this many, up to 500; more is taken as 500, 0 as the default.")
    ] = DEFAULT_LIMIT,
    cursor: Annotated[
        CursorText | None, Query(description="`next_cursor` of the page before, or an event's id.")
    ] = None,
) -> Response:
    """Give what happened to the job, attempt by attempt."""
    parsed = job_id_of(job_id)
    after = 0 if cursor is None else read_position(caller.project_id, cursor).id
    events, more = await services.events.page(
        caller.project_id, parsed, after=after, limit=min(limit, MAX_LIMIT) or DEFAULT_LIMIT
    )
    next_cursor = write_position(caller.project_id, events[-1].position) if more else None
    return json_response({"events": [event_document(event) for event in events], "next_cursor": next_cursor})


@history.get(
    "/jobs/{job_id}/logs",
    operation_id="jobs_logs",
    summary="Read a job's log, or follow it",
    response_model=LogLines,
    responses={200: {"description": "Lines from `offset` on."}, **problems(404)},
)
async def read_logs(
    request: Request,
    caller: Reader,
    services: CoreServices,
    job_id: JobIdText,
    offset: Annotated[int, Query(ge=0, le=MAX_BIGINT, description="The number of the first line wanted.")] = 0,
    limit: Annotated[
        int, Query(ge=0, description="At most this many, up to 1,000; more is taken as 1,000, 0 as the default.")
    ] = MAX_LINES,
    wait: Annotated[
        int, Query(ge=0, le=MAX_INT, description="Seconds to wait for a line if there is none yet, at most 50.")
    ] = 0,
) -> Response:
    """Give log lines by number. To follow a log, ask again with `next_offset` and a `wait` until it has `ended`."""
    parsed = job_id_of(job_id)
    page = await while_connected(
        request,
        services.logs.page(
            caller.project_id,
            parsed,
            offset=offset,
            limit=min(limit, MAX_LINES) or MAX_LINES,
            wait_seconds=min(wait, MAX_WAIT_SECONDS),
        ),
    )
    lines = [
        {
            "line": line.line,
            "at": time_text(line.at),
            "attempt": line.attempt,
            "level": line.level,
            "message": line.message,
        }
        for line in page.lines
    ]
    return json_response({"logs": lines, "next_offset": page.next_offset, "ended": page.ended})
