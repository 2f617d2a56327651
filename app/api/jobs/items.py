"""The items of a job, page by page."""

from typing import Annotated

from fastapi import Query, Response
from pydantic_core import to_json

from app.api.jobs.translate import item_document, items_cursor, items_of
from app.api.jobs.wire import ItemList
from app.api.routes import JobIdText, problems, router
from app.domain.item import ItemStatus
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import MAX_ROW, CursorText, read_cursor
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
) -> Response:
    """Return items in order of their first report. A page may be short; only a null cursor is the end.

    A page ends early where its items reach the size of an answer, 16 MiB by default.
    """
    parsed = job_id_of(job_id)
    chosen = frozenset(status) if status else None
    status_filter = chosen or ()
    page = await services.items.page(
        caller.project_id,
        parsed,
        after=0 if cursor is None else read_cursor(cursor, *items_of(str(parsed), status_filter), most=MAX_ROW),
        limit=min(limit, MAX_LIMIT) or DEFAULT_LIMIT,
        status=chosen,
    )
    next_cursor = None
    if page.next_position is not None:
        next_cursor = items_cursor(str(parsed), status_filter, page.next_position)

    def render() -> bytes:
        return list_body(
            "items", (to_json(item_document(job_id, item)) for item in page.items), next_cursor=next_cursor
        )

    return Response(await rendered(page.size, render), media_type="application/json")
