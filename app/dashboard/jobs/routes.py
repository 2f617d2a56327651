"""The page of jobs, its completion, and the stream that keeps its rows current."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request, Response

from app.core.waits import EndedBy, Until
from app.dashboard.formats import now
from app.dashboard.jobs.completion import MOST, LastWord, completions, last_word, values_of
from app.dashboard.jobs.filter_text import FILTERS, MAX_TEXT, FilterTextError, parse, quoted
from app.dashboard.jobs.finding import find
from app.dashboard.jobs.views import PAGE, Shown, address_of, count_new, live_address, read_shown, row_of
from app.dashboard.site import page, pages_router, rendered
from app.domain.held import STREAM, Holding, wait_for
from app.domain.job import Job
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.deps import Caller, CoreServices, Services
from app.web.sse import EventStreamResponse, text_frame

jobs_pages = pages_router()

FilterText = Annotated[str, Query(alias="filter")]
_UNPROCESSABLE: Final = 422
COUNT_SECONDS: Final = 5.0
"""How often a stream counts the jobs that are new."""
PAUSE_SECONDS: Final = 1.0
"""Between two looks at jobs that change all the time: nobody reads faster."""
LATEST_JOBS: Final = 200
"""Types, collections and labels are completed with those of so many jobs."""


@jobs_pages.get("/ui/jobs", dependencies=[requires(Scope.READ)])
async def show(
    request: Request,
    caller: Caller,
    services: CoreServices,
    filter_text: FilterText = "",
    cursor: Annotated[str | None, Query()] = None,
) -> Response:
    """Show a page of the jobs that match the filter, newest first."""
    text = filter_text.strip()
    shared: dict[str, Any] = {
        "filter": text,
        "filters": FILTERS,
        "max_text": MAX_TEXT,
        "options": completions(LastWord("", None, "")),
    }
    try:
        listing = await find(services, caller, text, cursor)
    except FilterTextError as error:
        return page(request, "jobs/page.html", _UNPROCESSABLE, fault=error.message, listing=None, **shared)
    is_first = cursor is None and not listing.by_id
    older = None if listing.cursor is None else address_of(text, listing.cursor)
    return page(
        request,
        "jobs/page.html",
        fault=None,
        listing=listing,
        live=live_address(listing.rows, text if is_first else None),
        older=older,
        newest=address_of(text),
        is_first=cursor is None,
        offers_all=bool(text) and is_first,
        **shared,
    )


@jobs_pages.get("/ui/jobs/newest", dependencies=[requires(Scope.READ)])
async def go_to_newest(caller: Caller, services: CoreServices) -> Response:
    """Go to the newest job: where the link leads that is printed beside a demo, whose job has no id yet."""
    found = await services.lists.page_of_ids(caller.project_id, JobFilter(), before=None, limit=1)
    return Response(None, 303, {"Location": f"/ui/jobs/{found.job_ids[0]}" if found.job_ids else "/ui/jobs"})


@jobs_pages.get("/ui/jobs/complete", dependencies=[requires(Scope.READ)])
async def complete(request: Request, caller: Caller, services: CoreServices, filter_text: FilterText = "") -> Response:
    """Complete the last word of the filter."""
    word = last_word(filter_text[:MAX_TEXT])
    options = [] if word is None else completions(word, await _values(services, caller.project_id, word))
    return page(request, "jobs/options.html", options=options)


async def _values(services: Services, project_id: UUID, word: LastWord) -> list[str]:
    if word.name == "queue":
        # In the order of names: those that go on so stand right behind what was written.
        queues, _ = await services.queues.page(project_id, after=word.start, limit=MOST)
        return [quoted(queue.name) for queue in queues]
    if word.name in {"type", "collection", "label"}:
        latest = await services.lists.page(project_id, JobFilter(), limit=LATEST_JOBS)
        return values_of(word.name, latest.jobs)
    return []


@jobs_pages.get("/ui/jobs/live", dependencies=[requires(Scope.READ)])
async def live(
    request: Request,
    caller: Caller,
    services: CoreServices,
    seen: str = "",
    filter_text: Annotated[str | None, Query(alias="filter")] = None,
) -> Response:
    """Stream the rows of a page that change, and how many jobs are new, for whoever shows the page."""
    shown = read_shown(seen)
    conditions = None if filter_text is None else parse(filter_text, now()).conditions
    holding = Holding((*STREAM.counts, *wait_for(list(shown.live)).counts))
    return EventStreamResponse(request, _frames(request, caller, services, shown, conditions), holding)


async def _frames(
    request: Request, caller: Principal, services: Services, shown: Shown, conditions: JobFilter | None
) -> AsyncGenerator[bytes, None]:
    versions, clock = dict(shown.live), asyncio.get_running_loop()
    known, counted_at = 0, float("-inf")
    while not services.health.draining:
        if versions:
            changes = await services.waits.wait(
                caller.project_id, list(versions), seconds=COUNT_SECONDS, until=Until.CHANGE, versions=versions
            )
            if changes.ended_by is EndedBy.SHUTDOWN:
                return
            if changed := [job for job_id, job in changes.jobs.items() if job.version != versions[job_id]]:
                yield text_frame(_rows(request, caller, changed))
            # An ended job can change no more, and one that was deleted is not found.
            versions = {job.id: job.version for job in changes.jobs.values() if not job.terminal}
        if conditions is not None and clock.time() - counted_at >= COUNT_SECONDS:
            counted_at = clock.time()
            newest = await services.lists.page_of_ids(caller.project_id, conditions, before=None, limit=2 * PAGE)
            count = count_new(newest.job_ids, shown)
            if count != known:
                known = count
                yield text_frame(rendered(request, "jobs/new.html", count=count, most=PAGE))
        await asyncio.sleep(PAUSE_SECONDS)


def _rows(request: Request, caller: Principal, jobs: list[Job]) -> str:
    return rendered(request, "jobs/rows.html", rows=[row_of(job, caller) for job in jobs])
