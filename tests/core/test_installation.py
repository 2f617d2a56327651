"""What an installation tells of itself: versions, sizes, and what is still to be removed."""

from app.db import installation, migrate
from app.db.engine import Database
from app.domain.ids import new_id
from app.web.deps import Services


async def test_installation_is_described(core: Services) -> None:
    found = await core.installation.describe(new_id())
    assert found.is_current
    assert len(found.revisions) == 1
    assert not set(found.revisions) & migrate.outdated_revisions()
    assert found.storage.server_version[:2].isdigit()
    assert found.storage.size > 1_000_000
    assert (found.storage.deletions, found.has_aged, found.free_bytes) == (0, False, None)
    names = {table.name for table in found.tables}
    assert {"jobs", "events", "browser_sessions"} <= names
    sizes = [table.size for table in found.tables]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size > 0 for size in sizes)


async def test_deletions_are_counted_to_a_bound(database: Database) -> None:
    async with database.connection() as connection:
        await connection.driver.execute(
            "INSERT INTO deletions (project_id, job_id, deleted_at) "
            "SELECT $1, gen_random_uuid(), statement_timestamp() FROM generate_series(1, $2)",
            new_id(),
            installation.MOST_COUNTED + 5,
        )
        assert (await installation.select_storage(connection)).deletions == installation.MOST_COUNTED


async def test_rows_that_nobody_has_estimated_are_unknown(database: Database) -> None:
    async with database.connection() as connection:
        await connection.driver.execute("INSERT INTO projects VALUES ($1, 'p', statement_timestamp())", new_id())
        await connection.driver.execute("ANALYZE projects")
        rows = {table.name: table.rows for table in await installation.select_sizes(connection)}
    assert rows["projects"] is not None
    assert rows["projects"] >= 1
    assert rows["jobs"] in {None, 0}
