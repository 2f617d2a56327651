"""Jobs: reading them. How they are created is in `create`, how they move in `transitions`, how they are handed out in
`claims`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.lookups import lookup, state_among
from app.db.parameters import Batch, Values
from app.db.projection import LEFT_OUT, Projection, reading
from app.db.statement import Statement
from app.db.times import finite
from app.domain.item import Counts
from app.domain.job import Documents, Eta, Job, JobFailure, JobRef, SeenVersion
from app.domain.states import LIVE, JobState

RUNS: Final = tables.runs.alias("r")
JOBS: Final = tables.jobs.alias("j")

# A live job's progress stands in its run, an ended one's in the job itself.
JOB: Final = Projection(
    Job,
    JOBS,
    {
        "version": "j.version + coalesce(r.version, 0)",
        "stage": "coalesce(r.stage, j.stage)",
        "progress": "coalesce(r.progress, j.progress)",
        "message": "coalesce(r.message, j.message)",
        "counts": Projection(
            Counts,
            columns={
                "total": "coalesce(greatest(r.items_count, r.declared_total), j.items_total)",
                "processed": "coalesce(r.items_processed, j.items_processed)",
                "failed": "coalesce(r.items_failed, j.items_failed)",
                "skipped": "coalesce(r.items_skipped, j.items_skipped)",
            },
        ),
        "eta": Projection(Eta, RUNS, prefix="eta_", absent_without="seconds"),
        "error": Projection(
            JobFailure, JOBS, {"message": "coalesce(j.error_message, '')"}, prefix="error_", absent_without="code"
        ),
        "updated_at": "greatest(j.updated_at, r.updated_at)",
        "expires_at": reading(JOBS.c.expires_at, finite),
        "documents": LEFT_OUT,
    },
)
JOB_WITH_DOCUMENTS: Final = JOB.but(
    documents=Projection(
        Documents, tables.results.alias("s"), {"payload": tables.payloads.alias("p").c.payload, "size": LEFT_OUT}
    )
)

REQUESTED: Final = f":rows CROSS JOIN {lookup('jobs', 'j', project_id='i.project_id', id='i.job_id')}"
"""The jobs that a batch of references names, as `j`."""
RUN: Final = lookup("runs", "r", project_id="j.project_id", job_id="j.id")
"""The run of a job `j`, as `r`."""
LEASE_LEFT: Final = """CASE WHEN r.lease_ends_at IS NOT NULL
    THEN CAST(greatest(extract(epoch FROM r.lease_ends_at - statement_timestamp()), 0) AS float8) END"""
"""Seconds that are left of the lease of a run `r`: 0 of one that lapsed, null of one without an end."""

SELECT = Statement(f"SELECT :returned FROM {REQUESTED} LEFT JOIN {RUN} ON true", Batch(JobRef), JOB)
SELECT_WITH_DOCUMENTS = Statement(
    f"""
    SELECT :returned FROM {REQUESTED} LEFT JOIN {RUN} ON true
    LEFT JOIN {lookup("payloads", "p", project_id="j.project_id", job_id="j.id")} ON true
    LEFT JOIN {lookup("results", "s", project_id="j.project_id", job_id="j.id")} ON true
    """,
    Batch(JobRef),
    JOB_WITH_DOCUMENTS,
)


async def select_by_ids(connection: Connection, keys: Sequence[JobRef]) -> dict[JobRef, Job]:
    """Read jobs without their documents; unknown ones are left out."""
    return {job.ref: job for job in await connection.fetch(SELECT, keys)}


async def select_with_documents(connection: Connection, keys: Sequence[JobRef]) -> dict[JobRef, Job]:
    """Read jobs with payload, result and billing, in one statement so that they fit the version."""
    return {job.ref: job for job in await connection.fetch(SELECT_WITH_DOCUMENTS, keys)}


SLICE = 500
"""Jobs whose texts are joined before others may have the event loop: a fifth of a millisecond."""


@dataclass(frozen=True, slots=True)
class _SeenVersions:
    """Jobs and the versions they were last seen in, each list as one text with commas between."""

    project_ids: str
    job_ids: str
    versions: str


@dataclass(frozen=True, slots=True)
class _Changed:
    """The place of a job in the lists, and the version it has now; None if it is gone."""

    n: int
    version: int | None


# The ids come as three long texts and what has not changed does not come back: ten thousand jobs whose watchers have
# seen all cost the event loop 7 ms. As arrays of ids, with a row for each, they cost it 60.
SELECT_CHANGED = Statement(
    f"""
    SELECT :returned
    FROM unnest(CAST(string_to_array(:project_ids, ',') AS uuid[]), CAST(string_to_array(:job_ids, ',') AS uuid[]),
                CAST(string_to_array(:versions, ',') AS bigint[])) WITH ORDINALITY AS i (project_id, job_id, version, n)
    LEFT JOIN {lookup("jobs", "j", project_id="i.project_id", id="i.job_id")} ON true
    LEFT JOIN {RUN} ON true
    WHERE j.version + coalesce(r.version, 0) IS DISTINCT FROM i.version
    """,
    Values(_SeenVersions),
    Projection(_Changed, columns={"n": "i.n", "version": "j.version + coalesce(r.version, 0)"}),
)


async def select_changed(connection: Connection, seen: Sequence[SeenVersion]) -> dict[SeenVersion, int | None]:
    """Return the jobs whose version is not the one last seen, with the version they have; None for one that is gone."""
    project_ids, job_ids, versions = [], [], []
    for start in range(0, len(seen), SLICE):
        if start:
            await asyncio.sleep(0)
        part = seen[start : start + SLICE]
        project_ids.append(",".join([version.project_hex for version in part]))
        job_ids.append(",".join([version.job_hex for version in part]))
        versions.append(",".join([str(version.version) for version in part]))
    seen_versions = _SeenVersions(",".join(project_ids), ",".join(job_ids), ",".join(versions))
    changed = await connection.fetch(SELECT_CHANGED, seen_versions)
    return {seen[change.n - 1]: change.version for change in changed}


@dataclass(frozen=True, slots=True)
class Fence:
    """The columns that decide how a refused or repeated call is answered."""

    project_id: UUID
    id: UUID
    state: JobState
    token: UUID | None
    final_call: bytes | None
    lease_left: float | None


SELECT_FENCES = Statement(
    f"SELECT :returned FROM {REQUESTED} LEFT JOIN {RUN} ON true",
    Batch(JobRef),
    Projection(Fence, JOBS, {"lease_left": LEASE_LEFT}),
)


async def select_fences(connection: Connection, keys: Sequence[JobRef]) -> dict[JobRef, Fence]:
    """Read the columns that decide how refused and repeated calls are answered."""
    return {JobRef(fence.project_id, fence.id): fence for fence in await connection.fetch(SELECT_FENCES, keys)}


@dataclass(frozen=True, slots=True)
class LiveRerun:
    """A rerun that has not ended. Until it ends, its row has the number of items that it was created with."""

    id: UUID
    copied_items: int


# All reruns there are, along their own index, which no other has the order of. OFFSET 0 keeps the conditions on the
# state and the id out of that walk: the index of all jobs by id would seem to serve them.
SELECT_LIVE_RERUN = Statement(
    f"""
    SELECT :returned FROM (
        SELECT j.id, j.state, j.items_total FROM jobs j WHERE j.project_id = :project_id
          AND j.original_job_id BETWEEN :job_id AND :job_id ORDER BY j.original_job_id OFFSET 0
    ) j WHERE {state_among(LIVE)} ORDER BY j.id LIMIT 1
    """,
    Values(JobRef),
    Projection(LiveRerun, "j", {"copied_items": "j.items_total"}),
)


async def select_live_rerun(connection: Connection, key: JobRef) -> LiveRerun | None:
    """Return the oldest rerun of this job that is still live."""
    return await connection.fetchrow(SELECT_LIVE_RERUN, key)
