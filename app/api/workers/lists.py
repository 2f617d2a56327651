"""Who asks for jobs."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field

from app.api.responses import json_response
from app.api.routes import problems, router
from app.api.translate import time_text
from app.api.wire import Answer
from app.domain.principal import Principal, Scope
from app.domain.worker import MOST_NAMES, PRESENT_SECONDS, Worker
from app.web.auth import requires
from app.web.cursors import NameCursorText, read_name_cursor, write_name_cursor
from app.web.deps import CoreServices

asking = router("Workers")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class WorkerOut(Answer):
    """A worker that has asked for jobs within a day."""

    name: str
    queues: list[str] | None = Field(description=f"What it asks for, {MOST_NAMES} names at most. Null: any queue.")
    types: list[str] | None = Field(description=f"What it asks for, {MOST_NAMES} names at most. Null: any type.")
    more_queues: bool = Field(description="Whether it asks for more queues than are listed.")
    more_types: bool = Field(description="Whether it asks for more types than are listed.")
    client: str | None = Field(description="The `User-Agent` of its claims.")
    last_asked_at: datetime = Field(description="Some seconds old at most. An open claim asks all the time.")
    present: bool = Field(description=f"Whether it asked within the last {PRESENT_SECONDS} seconds, or holds a job.")
    held: int = Field(description="Jobs that it holds.")


class WorkerList(Answer):
    """A page of workers. Only a null `next_cursor` is the end."""

    workers: list[WorkerOut]
    next_cursor: str | None


@asking.get(
    "/workers",
    operation_id="workers_list",
    summary="List workers",
    response_model=WorkerList,
    responses={200: {"description": "A page, in the order of the names."}, **problems()},
)
async def list_workers(
    caller: Annotated[Principal, requires(Scope.READ)],
    services: CoreServices,
    limit: Annotated[
        int, Query(ge=0, description="Page size, 1-500 (default 50); larger values are capped, 0 means the default.")
    ] = DEFAULT_LIMIT,
    cursor: Annotated[NameCursorText | None, Query(description="`next_cursor` of the previous page.")] = None,
    name: Annotated[
        str, Query(max_length=255, description="Only workers whose names contain this, in upper or lower case.")
    ] = "",
) -> Response:
    """List the workers that asked for jobs within the last day, as their claims tell; of more than 1,000 the longest
    silent are left out.
    """
    bound = ("workers", name) if name else ("workers",)
    found, after = await services.workers.page(
        caller.project_id,
        after="" if cursor is None else read_name_cursor(cursor, *bound),
        part=name,
        limit=min(limit, MAX_LIMIT) or DEFAULT_LIMIT,
    )
    next_cursor = None if after is None else write_name_cursor(after, *bound)
    return json_response({"workers": [_document(worker) for worker in found], "next_cursor": next_cursor})


def _document(worker: Worker) -> dict[str, Any]:
    return {
        "name": worker.name,
        "queues": worker.queues,
        "types": worker.types,
        "more_queues": worker.more_queues,
        "more_types": worker.more_types,
        "client": worker.client,
        "last_asked_at": time_text(worker.asked_at),
        "present": worker.present,
        "held": worker.held,
    }
