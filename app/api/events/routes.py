"""Events and log lines of a job, page by page."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic_core import to_json

from app.api.events.translate import event_document, line_document, read_position, write_position
from app.api.events.wire import EventList, LogLines
from app.api.fields import MAX_BIGINT, MAX_INT
from app.api.headers import MAX_WAIT_SECONDS, WAIT_ENDED, wait_ended
from app.api.responses import json_response
from app.api.routes import JobIdText, problems, router
from app.api.workers.item_wire import LogLevel as LevelName
from app.domain.errors import CursorExpiredError
from app.domain.event import LogLevel
from app.domain.held import NOTHING, ONE_WAIT
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import CursorText
from app.web.deps import CoreServices
from app.web.disconnect import while_connected
from app.web.large import list_body, rendered
from app.web.params import job_id_of

history = router("History")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_LINES = 1000

Reader = Annotated[Principal, requires(Scope.READ)]


@history.get(
    "/jobs/{job_id}/events",
    operation_id="jobs_events",
    summary="Read a job's history",
    response_model=EventList,
    responses={200: {"description": "A page, oldest first."}, **problems(404, 410)},
)
async def list_events(
    caller: Reader,
    services: CoreServices,
    job_id: JobIdText,
    limit: Annotated[
        int, Query(ge=0, description="Page size, 1-500 (default 50); larger values are capped, 0 means the default.")
    ] = DEFAULT_LIMIT,
    cursor: Annotated[
        CursorText | None, Query(description="`next_cursor` of the previous page, or an event's id.")
    ] = None,
) -> Response:
    """Return the job's events, oldest first. Each carries the attempt that it belongs to.

    A page may be short; only a null cursor is the end.
    """
    parsed = job_id_of(job_id)
    after = None if cursor is None else read_position(caller.project_id, cursor)
    if after and not await services.events.is_current(caller.project_id, after):
        raise CursorExpiredError("The cursor is from before the database was restored into another cluster.")
    events, more = await services.events.page(
        caller.project_id, parsed, after=after.id if after else 0, limit=min(limit, MAX_LIMIT) or DEFAULT_LIMIT
    )
    next_cursor = write_position(caller.project_id, events[-1].position) if more else None
    return json_response({"events": [event_document(event) for event in events], "next_cursor": next_cursor})


@history.get(
    "/jobs/{job_id}/logs",
    operation_id="jobs_logs",
    summary="Read a job's log, or follow it",
    response_model=LogLines,
    responses={200: {"headers": WAIT_ENDED, "description": "Lines from `offset` on."}, **problems(404)},
)
async def read_logs(
    request: Request,
    caller: Reader,
    services: CoreServices,
    job_id: JobIdText,
    offset: Annotated[int, Query(ge=0, le=MAX_BIGINT, description="Number of the first line to return.")] = 0,
    limit: Annotated[
        int,
        Query(ge=0, description="Page size, 1-1,000 (default 1,000); larger values are capped, 0 means the default."),
    ] = MAX_LINES,
    level: Annotated[
        list[LevelName] | None, Query(max_length=len(LogLevel), description="Only lines of one of these levels.")
    ] = None,
    attempt: Annotated[int | None, Query(ge=0, le=MAX_INT, description="Only lines of this attempt.")] = None,
    wait: Annotated[
        int | None,
        Query(
            ge=0,
            le=MAX_INT,
            description="Seconds to wait for a line if there is none yet; larger values are capped at 50.",
        ),
    ] = None,
) -> Response:
    """Return log lines by number. To follow a log, repeat with `next_offset` and a `wait` until `ended` is true.
    With a filter a page may be short or empty before the end.

    A page ends early where its lines reach the size of an answer, 16 MiB by default.
    """
    parsed = job_id_of(job_id)
    page = await while_connected(
        request,
        services.logs.page(
            caller.project_id,
            parsed,
            offset=offset,
            limit=min(limit, MAX_LINES) or MAX_LINES,
            levels=[LogLevel(name) for name in level] if level else None,
            attempt=attempt,
            wait_seconds=min(wait or 0, MAX_WAIT_SECONDS),
        ),
        ONE_WAIT if wait else NOTHING,
    )

    def render() -> bytes:
        rows = (to_json(line_document(line)) for line in page.lines)
        return list_body("logs", rows, next_offset=page.next_offset, ended=page.ended)

    response = Response(await rendered(page.size, render), media_type="application/json")
    if wait is not None:
        response.raw_headers.append(wait_ended(page.ended_by))
    return response
