"""Finding the jobs that a filter is about, with the core calls of the API's list."""

from uuid import UUID

from app.dashboard.formats import now
from app.dashboard.jobs.filter_text import FilterTextError, JobQuery, parse
from app.dashboard.jobs.views import NEWEST, PAGE, Listing, created_at, row_of
from app.domain.errors import InvalidError
from app.domain.job import Job
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal
from app.web.cursors import read_id_cursor, write_cursor
from app.web.deps import Services

_LIST = "ui jobs"


async def find(services: Services, caller: Principal, text: str, cursor: str | None) -> Listing:
    """Return a page of the jobs that a filter is about; raises FilterTextError."""
    query = parse(text, now())
    before = None if cursor is None else _place(cursor, text)
    if query.by_id:
        jobs, sentence = await _by_id(services, caller.project_id, query)
        return Listing(tuple(row_of(job, caller) for job in jobs), None, None, sentence, by_id=True)
    page = await services.lists.page(caller.project_id, query.conditions, before=before, limit=PAGE)
    following = page.next_before
    return Listing(
        rows=tuple(row_of(job, caller) for job in page.jobs),
        cursor=None if following is None else write_cursor(following.int, _LIST, text),
        searched_to=None if following is None else created_at(following),
        sentence=_nothing(query.conditions, following, before),
    )


def _place(cursor: str, text: str) -> UUID:
    # Bound to the text: what `since:24h` stands for is another time for each page.
    try:
        return read_id_cursor(cursor, _LIST, text)
    except InvalidError:
        raise FilterTextError("This page belongs to another filter. Press Filter to begin with the newest.") from None


async def _by_id(services: Services, project_id: UUID, query: JobQuery) -> tuple[list[Job], str]:
    if query.job_id is not None:
        jobs = await services.jobs.get_many(project_id, [query.job_id])
        return list(jobs.values()), "There is no job with this id. It may have been deleted."
    newest = await services.lists.page_of_ids(project_id, JobFilter(), before=None, limit=NEWEST)
    ids = [job_id for job_id in newest.job_ids if str(job_id).endswith(query.id_end)]
    jobs = await services.jobs.get_many(project_id, ids[:PAGE])
    return list(jobs.values()), f"None of the newest {NEWEST:,} jobs has an id that ends so. Write the whole id."


def _nothing(conditions: JobFilter, following: UUID | None, before: UUID | None) -> str:
    if following is not None:
        return "None of the jobs that were looked at matches."
    if before is not None:
        return "There are no older jobs."
    return "" if conditions.everything else "No job matches."
