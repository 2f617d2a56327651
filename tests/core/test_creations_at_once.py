"""Creations in the statement that commits itself: which it does, and which it leaves to the transaction."""

from functools import partial
from uuid import UUID, uuid4

from app.core.batches.create import apply_creations, apply_creations_at_once
from app.core.batches.queue_limit import QueueLimit
from app.db.engine import Database
from app.domain.errors import TooManyQueuesError
from app.domain.idempotency import Idempotency
from app.domain.ids import new_id
from app.domain.item import NewItem
from app.domain.job import Claim, Created, CreateRequest, NewJob
from app.live.group_writer import GroupWriter
from tests import factories, sql


def request(project_id: UUID, queue: str = "known") -> CreateRequest:
    return CreateRequest(project_id, NewJob(id=new_id(), type="t", queue=queue))


async def know(database: Database, project_id: UUID, queue: str = "known") -> None:
    async with database.transaction() as connection:
        await factories.queue(connection, project_id, queue)


async def queues(database: Database) -> list[str]:
    async with database.connection() as connection:
        return [row.name for row in await sql.fetch(connection, "SELECT name FROM queues ORDER BY name")]


async def test_only_what_needs_no_transaction_is_created(database: Database, project_id: UUID) -> None:
    async with database.transaction() as connection:
        other = await factories.project(connection)
    await know(database, project_id)
    item = NewJob(id=new_id(), type="t", queue="known", items=(NewItem(key="a"),))
    claimed = NewJob(id=new_id(), type="t", queue="known", claim=Claim("w", 30))
    done = await apply_creations_at_once(
        database,
        [
            request(project_id),
            request(project_id, "new"),
            request(other),
            CreateRequest(project_id, item),
            CreateRequest(project_id, claimed, token=uuid4()),
            CreateRequest(project_id, request(project_id).job, Idempotency(route="r", key="k", fingerprint=b"f")),
            request(project_id),
        ],
    )
    assert set(done.outcomes) == {0, 6}
    assert len(done.changes) == 2
    assert await queues(database) == ["known"]


async def test_a_queue_too_many_is_refused_alone(database: Database, project_id: UUID) -> None:
    await know(database, project_id)
    create = GroupWriter(
        database, partial(apply_creations, QueueLimit(2)), lambda _: None, at_once=apply_creations_at_once
    )
    outcomes = await create.submit_many(
        [request(project_id, queue) for queue in ("known", "second", "third", "known", "second")]
    )
    assert [type(outcome) for outcome in outcomes] == [Created, Created, TooManyQueuesError, Created, Created]
    assert await queues(database) == ["known", "second"]
