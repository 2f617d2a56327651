"""What the page of a job shows below its head: errors, files, attempts, documents, lineage, and a drawer."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request

from app.dashboard.job import files
from app.dashboard.job.attempts import attempts_of
from app.dashboard.job.documents import documents_of, readings_of
from app.dashboard.job.files import Files, FilesQuery
from app.dashboard.site import address_of
from app.domain.event import JobEventRecord
from app.domain.item import ItemPage
from app.domain.job import Job
from app.domain.principal import Principal
from app.web.deps import Services

MOST_EVENTS = 500
"""Events of which attempts are made. One is written at every stage and every 5 percent."""


async def sections(
    request: Request,
    services: Services,
    caller: Principal,
    job: Job,
    events: tuple[Sequence[JobEventRecord], bool] | None = None,
) -> dict[str, Any]:
    """Return what the sections show of a job that was read with its documents, with one statement more.

    `events` are the first 500 of the job, and whether there are more. Without them its attempts are asked for by the
    page, and so is what else is not here.
    """
    shown = await files_in(services, job, files.read_query(job, request.query_params))
    address = address_of(request)
    return {
        "job": job,
        "files": shown,
        "errors": files.groups_in(shown, caller),
        "attempts": None if events is None else attempts_of(job, events[0], is_cut=events[1]),
        "documents": documents_of(job, address),
        "readings": readings_of(job, address, request.scope["state"].get("readings") or {}),
    }


async def files_in(services: Services, job: Job, query: FilesQuery) -> Files:
    """Read a page of a job's files."""
    if not job.counts.total and not job.counts.done:
        return files.files_of(job, query, ItemPage((), None, 0))
    found = await services.items.of(
        job,
        after=query.after,
        limit=files.PAGE_SIZE,
        status=query.status,
        codes=query.codes or None,
        with_error=query.with_error,
    )
    return files.files_of(job, query, found)
