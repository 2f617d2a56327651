"""The record of changes: what has a line, what has none, and what a line says."""

import asyncio
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from app.core import audit
from app.core.key_admin import NewKey
from app.db import queues
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.audit import Action, Actor, Entry
from app.domain.errors import ForbiddenError, LastOperatorKeyError, NotFoundError
from app.domain.idempotency import Idempotency
from app.domain.ids import new_id
from app.domain.job import NewJob
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.domain.queue import Pause, QueueRules
from app.domain.states import JobState
from app.runtime import Runtime
from app.web.deps import Services

FAR = datetime(2999, 1, 1, tzinfo=UTC)
BLOCKED_BY_THIS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
Lines = list[MutableMapping[str, Any]]


@pytest_asyncio.fixture
async def actor(core: Services) -> Actor:
    """The first key, from somewhere."""
    key = await core.keys.install_first(None)
    assert key is not None
    return Actor(await core.keys.authenticate(key, "a"), "192.0.2.7", "request-1")


@pytest.fixture
def lines(actor: Actor) -> Iterator[Lines]:
    """What is logged after the first key was made."""
    del actor
    with capture_logs() as captured:
        yield captured


def only(lines: Lines) -> MutableMapping[str, Any]:
    """The one line about a change since the last call."""
    [line] = [one for one in lines if one["event"] == "changed"]
    lines.clear()
    return line


def changed(old: Any, new: Any) -> dict[str, Any]:
    return {"old": old, "new": new}


async def test_line_says_who_what_where_and_from_where(core: Services, actor: Actor, lines: Lines) -> None:
    await core.queues.put(actor, "q", QueueRules(retention_seconds=3600))
    project_id = str(actor.principal.project_id)
    assert only(lines) == {
        "event": "changed",
        "log_level": "info",
        "action": "queues_put",
        "project_id": project_id,
        "target": "q",
        "changes": {"paused": changed(None, False), "retention_seconds": changed(None, 3600)},
        "by_key_id": actor.principal.key_id,
        "by_key_name": "first key",
        "by_project_id": project_id,
        "address": "192.0.2.7",
        "request_id": "request-1",
    }


async def test_queue_s_line_has_the_old_values_beside_the_new(core: Services, actor: Actor, lines: Lines) -> None:
    await core.queues.put(actor, "q", QueueRules(retention_seconds=3600, concurrency_limit=2))
    lines.clear()
    await core.queues.put(actor, "q", QueueRules(retention_seconds=60))
    assert only(lines)["changes"] == {"retention_seconds": changed(3600, 60), "concurrency_limit": changed(2, None)}
    for paused, action in ((True, "queues_pause"), (False, "queues_resume")):
        await core.queues.set_paused(actor, "q", Pause(reason="why") if paused else None)
        line = only(lines)
        assert (line["action"], line["changes"]["paused"]) == (action, changed(not paused, paused))
        pause = line["changes"]["pause"]["new" if paused else "old"]
        assert (pause["by"], pause["reason"]) == (actor.principal.name, "why")
    await core.queues.set_paused(actor, "nobody knows", None)
    assert lines == []
    await core.queues.delete(actor, "q")
    line = only(lines)
    assert (line["action"], line["target"]) == ("queues_delete", "q")
    assert line["changes"] == {"paused": changed(False, None), "retention_seconds": changed(60, None)}
    await core.queues.delete(actor, "q")
    assert lines == []


async def test_key_s_lines_tell_what_it_may_and_never_the_key(core: Services, actor: Actor, lines: Lines) -> None:
    wanted = NewKey(name="n", scopes=frozenset({Scope.WORK, Scope.READ}), queues=frozenset({"b", "a"}), expires_at=FAR)
    made, key = await core.key_admin.create(actor, wanted)
    line = only(lines)
    assert (line["action"], line["target"]) == ("keys_create", made.id)
    created = line["changes"].pop("created_at")
    assert created == changed(None, made.created_at.isoformat())
    assert line["changes"] == {
        "name": changed(None, "n"),
        "scopes": changed(None, ["read", "work"]),
        "queues": changed(None, ["a", "b"]),
        "expires_at": changed(None, FAR.isoformat()),
    }
    assert key is not None
    assert key not in str(line)
    await core.key_admin.set_expiry(actor, made.id, None)
    line = only(lines)
    assert (line["action"], line["changes"]) == ("keys_set_expiry", {"expires_at": changed(FAR.isoformat(), None)})
    await core.key_admin.revoke(actor, made.id)
    line = only(lines)
    assert (line["action"], list(line["changes"])) == ("keys_revoke", ["revoked_at"])
    # It was revoked before: nothing has changed.
    await core.key_admin.revoke(actor, made.id)
    assert lines == []


async def test_what_an_operator_does_elsewhere_says_where(core: Services, actor: Actor, lines: Lines) -> None:
    project, _ = await core.projects.create(actor, "another")
    line = only(lines)
    assert (line["action"], line["target"]) == ("projects_create", str(project.id))
    assert line["changes"] == {"name": changed(None, "another")}
    await core.key_admin.create(actor, NewKey(name="n", scopes=frozenset({Scope.READ}), project_id=project.id))
    line = only(lines)
    assert (line["project_id"], line["by_project_id"]) == (str(project.id), str(actor.principal.project_id))


async def test_first_key_and_project_have_lines_of_nobody(core: Services) -> None:
    with capture_logs() as lines:
        key = await core.keys.install_first(None)
        assert await core.keys.install_first(None) is None
    assert [line["action"] for line in lines] == ["projects_create", "keys_create"]
    assert {(line["by_key_id"], line["address"]) for line in lines} == {(None, None)}
    assert key is not None
    assert key not in str(lines)


async def test_repeat_under_an_idempotency_key_has_no_line(core: Services, actor: Actor, lines: Lines) -> None:
    wanted = NewKey(name="n", scopes=frozenset({Scope.READ}))
    for n in range(2):
        await core.key_admin.create(actor, wanted, idempotency=Idempotency("POST /v1/keys", "k", b"same"))
        await core.projects.create(actor, "p", idempotency=Idempotency("POST /v1/projects", "k", b"same"))
        assert [line["action"] for line in lines] == (["keys_create", "projects_create"] if n == 0 else [])
        lines.clear()


async def test_what_is_refused_has_no_line(core: Services, actor: Actor, lines: Lines) -> None:
    with pytest.raises(LastOperatorKeyError):
        await core.key_admin.revoke(actor, actor.principal.key_id)
    limited = Actor(Principal(actor.principal.project_id, "k", "n", frozenset({Scope.ADMIN}), frozenset({"a"})))
    with pytest.raises(ForbiddenError):
        await core.key_admin.create(limited, NewKey(name="n", scopes=frozenset({Scope.READ})))
    assert lines == []


async def test_calls_about_many_jobs_have_a_line_with_the_filter_and_the_counts(
    core: Services, actor: Actor, lines: Lines
) -> None:
    project_id = actor.principal.project_id
    jobs = [NewJob(id=new_id(), type="t", queue="q", labels={"of": "x"}) for _ in range(3)]
    await core.jobs.create_many(project_id, jobs)
    wanted = JobFilter(queues=frozenset({"q"}), labels=(("of", "x"),))
    await core.bulk.cancel(actor, wanted, dry_run=True)
    await core.bulk.rerun(actor, wanted)
    assert [line for line in lines if line["log_level"] != "debug"] == [], "nothing was changed"
    await core.bulk.cancel(actor, wanted, limit=2)
    line = only(lines)
    assert (line["action"], line["changes"]) == ("jobs_cancel_many", {"matched": 2, "changed": 2})
    assert line["target"] == {"queues": ["q"], "labels": [["of", "x"]]}
    await core.bulk.rerun(actor, JobFilter(states=frozenset({JobState.CANCELLED})))
    line = only(lines)
    assert (line["action"], line["changes"]) == ("jobs_rerun_many", {"matched": 2, "changed": 2})
    assert (line["target"], line["address"]) == ({"states": ["cancelled"]}, "192.0.2.7")


def record(connection: Connection, target: str) -> None:
    entry = Entry(action=Action.QUEUES_PUT, actor=None, project_id=new_id(), target=target, changes={})
    audit.record(connection, entry)


async def test_change_that_is_rolled_back_has_no_line_and_one_that_is_tried_again_has_one(database: Database) -> None:
    tries = 0

    async def fails(connection: Connection) -> None:
        record(connection, "rolled back")
        raise NotFoundError("no")

    async def works_the_second_time(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        record(connection, f"try {tries}")
        if tries == 1:
            raise asyncpg.DeadlockDetectedError("made up")

    with capture_logs() as lines:
        with pytest.raises(NotFoundError):
            await database.write(fails)
        await database.write(works_the_second_time)
    assert [line["target"] for line in lines] == ["try 2"]


async def test_caller_who_leaves_does_not_keep_a_change_out_of_the_log(
    core: Services, actor: Actor, lines: Lines, runtime: Runtime
) -> None:
    await core.queues.put(actor, "q", QueueRules())
    lines.clear()
    async with runtime.database.transaction() as connection:
        await queues.lock_one(connection, actor.principal.project_id, "q")
        # It waits for the lock, so it is on its way when its caller leaves.
        leaving = asyncio.create_task(core.queues.set_paused(actor, "q", Pause()))
        async with asyncio.timeout(10):
            while not await connection.driver.fetchval(BLOCKED_BY_THIS):
                await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    async with asyncio.timeout(10):
        while not (await core.queues.get(actor.principal.project_id, "q")).rules.paused:
            await asyncio.sleep(0.01)
        while not lines:
            await asyncio.sleep(0.01)
    assert only(lines)["action"] == "queues_pause"
