"""The page of queues and workers, and the parts of it that are asked for again."""

from typing import Annotated, Any, Final

from fastapi import Query, Request, Response

from app.dashboard.jobs.filter_text import quoted
from app.dashboard.links import link
from app.dashboard.queues.rules import RULES, UNIT_CHOICES
from app.dashboard.queues.views import PATH, may_change, queue_row, queue_rows, seen_rows, worker_rows
from app.dashboard.site import page, pages_router
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import read_name_cursor, write_name_cursor
from app.web.deps import Caller, CoreServices, Services

queue_pages = pages_router()

PAGE: Final = 50
MOST_SEEN: Final = 2_000
"""Characters of the keys of a page's rows."""
_READ: Final = [requires(Scope.READ)]
Part = Annotated[str, Query(max_length=255)]
CursorText = Annotated[str, Query(max_length=2_000)]


@queue_pages.get(PATH, dependencies=_READ)
async def show(
    request: Request,
    caller: Caller,
    services: CoreServices,
    queue: Part = "",
    name: Part = "",
    after: CursorText = "",
    worker: Part = "",
    workers_after: CursorText = "",
) -> Response:
    """Show the queues and the workers whose names hold what is asked for, and the rules of the queue that is open."""
    views, next_name = await services.queues.page(
        caller.project_id, after=_place(after, "queues", name), limit=PAGE, part=name
    )
    found, next_worker = await services.workers.page(
        caller.project_id, after=_place(workers_after, "workers", worker), limit=PAGE, part=worker
    )
    rows = queue_rows(views, caller)
    state = {"queue": queue, "name": name, "after": after, "worker": worker, "workers_after": workers_after}
    return page(
        request,
        "queues/page.html",
        state=state,
        rows=rows,
        numbers=link(f"{PATH}/numbers", name=name, after=after, seen=",".join(row.key for row in rows)),
        next_queues=_next(state, "after", next_name, name),
        first_queues=link(PATH, **(state | {"after": ""})) if after else "",
        workers=worker_rows(found),
        next_workers=_next(state, "workers_after", next_worker, worker),
        first_workers=link(PATH, "workers", **(state | {"workers_after": ""})) if workers_after else "",
        closed=link(PATH, **(state | {"queue": ""})),
        may_name=bool(name) and may_change(caller, name),
        other=link(PATH, queue=name),
        **(await card_of(services, caller, queue) if queue else {"row": None}),
    )


@queue_pages.get(f"{PATH}/numbers", dependencies=_READ)
async def show_numbers(
    request: Request,
    caller: Caller,
    services: CoreServices,
    name: Part = "",
    after: CursorText = "",
    seen: Annotated[str, Query(max_length=MOST_SEEN)] = "",
) -> Response:
    """Show how those queues stand now that a page shows already, and how many are new."""
    # More than a page: new names must not push known ones out of it.
    views, _ = await services.queues.page(
        caller.project_id, after=_place(after, "queues", name), limit=2 * PAGE, part=name
    )
    rows = queue_rows(views, caller)
    shown, _ = seen_rows(rows, seen)
    _, new = seen_rows(rows[:PAGE], seen)
    return page(request, "queues/numbers.html", rows=shown, new=new, here=link(PATH, name=name, after=after))


@queue_pages.get(f"{PATH}/card", dependencies=_READ)
async def show_card(request: Request, caller: Caller, services: CoreServices, queue: Part) -> Response:
    """Show the rules of a queue."""
    return page(request, "queues/card.html", closed=link(PATH), **await card_of(services, caller, queue))


async def card_of(services: Services, caller: Principal, name: str) -> dict[str, Any]:
    """Return what the card of a queue shows: its rules, and the forms that change them."""
    view = await services.queues.get(caller.project_id, name)
    return {
        "row": queue_row(view, may_change=may_change(caller, name)),
        "is_known": view.row is not None,
        "forms": {rule.name: rule.fields(view.rules) for rule in RULES.values()},
        "faults": {},
        "units": UNIT_CHOICES,
        "jobs": link("/ui/jobs", filter=f"queue:{quoted(name)}"),
    }


def _place(cursor: str, kind: str, part: str) -> str:
    return read_name_cursor(cursor, "page", kind, part) if cursor else ""


def _next(state: dict[str, str], parameter: str, name: str | None, part: str) -> str:
    if name is None:
        return ""
    kind = "queues" if parameter == "after" else "workers"
    return link(PATH, kind, **(state | {parameter: write_name_cursor(name, "page", kind, part)}))
