"""The items of a job, page by page, and their errors by code."""

from typing import Annotated

from fastapi import Query, Response
from pydantic_core import to_json

from app.api.fields import Name
from app.api.jobs.error_wire import GroupedErrorsOut
from app.api.jobs.translate import errors_document, item_document, items_of
from app.api.jobs.wire import MAX_CODES, ItemList
from app.api.responses import json_response
from app.api.routes import JobIdText, problems, router
from app.domain.item import ItemStatus
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import MAX_ROW, CursorText, read_cursor, write_cursor
from app.web.deps import CoreServices
from app.web.large import list_body, rendered
from app.web.params import job_id_of

items = router("Items")

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000


@items.get(
    "/jobs/{job_id}/items",
    operation_id="items_list",
    summary="List a job's items",
    response_model=ItemList,
    responses={200: {"description": "A page."}, **problems(404)},
)
async def list_items(
    caller: Annotated[Principal, requires(Scope.READ)],
    services: CoreServices,
    job_id: JobIdText,
    limit: Annotated[
        int, Query(ge=0, description="Page size, 1-1,000 (default 50); larger values are capped, 0 means the default.")
    ] = DEFAULT_LIMIT,
    cursor: Annotated[
        CursorText | None, Query(description="`next_cursor` of the previous page, with the same filter.")
    ] = None,
    status: Annotated[
        list[ItemStatus] | None, Query(max_length=len(ItemStatus), description="Only items with one of these statuses.")
    ] = None,
    error_code: Annotated[
        list[Name] | None, Query(max_length=MAX_CODES, description="Only items with one of these error codes.")
    ] = None,
    with_error: Annotated[
        bool,
        Query(description="Only items with an error code, as each has that failed; the others are not examined."),
    ] = False,
) -> Response:
    """Return items in order of their first report. A page may be short; only a null cursor is the end.

    A page ends early where its items reach the size of an answer, 16 MiB by default.
    """
    parsed = job_id_of(job_id)
    chosen = frozenset(status) if status else None
    codes = frozenset(error_code) if error_code else None
    bound = items_of(str(parsed), chosen or (), codes or (), with_error=with_error)
    page = await services.items.page(
        caller.project_id,
        parsed,
        after=0 if cursor is None else read_cursor(cursor, *bound, most=MAX_ROW),
        limit=min(limit, MAX_LIMIT) or DEFAULT_LIMIT,
        status=chosen,
        codes=codes,
        with_error=with_error,
    )
    next_cursor = None if page.next_position is None else write_cursor(page.next_position, *bound)

    def render() -> bytes:
        return list_body(
            "items", (to_json(item_document(job_id, item)) for item in page.items), next_cursor=next_cursor
        )

    return Response(await rendered(page.size, render), media_type="application/json")


@items.get(
    "/jobs/{job_id}/errors",
    operation_id="items_list_errors",
    summary="Count a job's failed items by error code",
    response_model=GroupedErrorsOut,
    responses={200: {"description": "The error codes, the most frequent first."}, **problems(404)},
)
async def list_errors(
    caller: Annotated[Principal, requires(Scope.READ)], services: CoreServices, job_id: JobIdText
) -> Response:
    """Return the error codes of the failed items, the 50 most frequent, each with the first item that has it. At most
    10,000 failed items are counted; `is_complete` says whether those are all.
    """
    found = await services.items.errors(caller.project_id, job_id_of(job_id))
    return json_response(errors_document(found), 200)
