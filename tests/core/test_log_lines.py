"""What the service itself does to a job is a line with its id, queue and worker; what callers do, a line a batch."""

from collections.abc import MutableMapping
from typing import Any

from structlog.testing import capture_logs

from app.core.rescue import Rescue
from app.db.engine import Database
from app.domain.states import JobState
from app.runtime import Runtime
from app.web.deps import Services
from tests import factories, sql
from tests.calls import claim, create

Lines = list[MutableMapping[str, Any]]


def told(lines: Lines, event: str) -> set[tuple[Any, ...]]:
    found = [line for line in lines if line["event"] == event]
    assert {line["log_level"] for line in found} == {"info"}
    return {(line["job_id"], line["queue"], line["worker"]) for line in found}


async def test_lease_and_deadline_have_a_line_for_each_job(database: Database) -> None:
    async with database.transaction() as connection:
        await sql.execute(connection, "UPDATE looks SET seen_at = now()")
        project = await factories.project(connection)
        lapsed = [
            await factories.job(connection, project, state=JobState.RUNNING, queue="q", lease_left_seconds=-1)
            for _ in range(2)
        ]
        late = await factories.job(connection, project, expires_at=factories.in_seconds(-1))
    rescue = Rescue(database, lambda _: None)
    with capture_logs() as lines:
        await rescue.step()
    assert told(lines, "a lease ran out") == {(str(made.id), "q", "a worker") for made in lapsed}
    assert told(lines, "a deadline passed") == {(str(late.id), "default", None)}


async def test_job_that_was_given_back_has_a_line(core: Services) -> None:
    job = await create(core, queue="q")
    claimed = await claim(core)
    with capture_logs() as lines:
        assert await core.leases.give_back([claimed]) == []
    assert told(lines, "gave back, for its claimer left") == {(str(job.id), "q", "w")}


async def test_batch_of_changes_is_one_line_at_debug(runtime: Runtime, core: Services) -> None:
    job = await create(core)
    with capture_logs() as lines:
        claimed = await claim(core)
    assert claimed.job.id == job.id
    changed = [line for line in lines if line["event"] == "jobs changed"]
    assert [(line["log_level"], line["jobs"], line["claimed"]) for line in changed] == [("debug", 1, 1)]
    assert runtime.feed is not None
