"""Copies of items, used once in tables of any size."""

from app.db import create, item_copies
from app.db.connection import Connection
from app.db.item_copies import ItemCopy
from app.domain.ids import new_id
from app.domain.job import CreateRequest, JobRef, NewJob


async def use_copies(connection: Connection, original: JobRef, batch: int) -> None:
    """Copy some items of a job that has many, as reruns do."""
    copies = [
        ItemCopy(
            project_id=original.project_id,
            job_id=new_id(),
            original_job_id=original.job_id,
            only_failed=only_failed,
            error_codes=frozenset({"torn"}) if only_failed else None,
            last_position=3000,
            position=10,
        )
        for only_failed in (False, True)
    ]
    await create.insert(
        connection, [CreateRequest(original.project_id, NewJob(id=copy.job_id, type="t")) for copy in copies]
    )
    for copy in copies:
        await item_copies.begin(connection, await item_copies.copy_some(connection, copy, window=batch, limit=batch), 9)
    assert await item_copies.select_any(connection)
    for _ in copies:
        found = await item_copies.select_next(connection)
        assert found
        assert found.live
        await item_copies.advance(connection, found.copy)
        await item_copies.end(connection, found.copy)
        await item_copies.release(connection, found.copy)
