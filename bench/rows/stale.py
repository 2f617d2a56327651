"""The second half of row 2: how long a process goes on answering with a job that is gone.

A second and a third process serve the same database; the third hears nothing of the change feed. Jobs that both have
answered with are deleted through the first process, or by the retention of their queue, and both are asked until they
say 404.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

import asyncpg

from bench import database
from bench.load.connection import Connection, Request, connect
from bench.load.generator import GeneratorError
from bench.result import Result, Target
from bench.service import Service
from bench.session import Session

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
"""Nobody listens there, so a process that is to hear of changes there hears of none."""
AGED_QUEUE = "aged"
_LOOK_SECONDS = 0.01
_LONGEST_SECONDS = 30.0


def measure(session: Session) -> Iterator[Result]:
    tries = session.scale.stale_tries
    if not tries:
        return
    deleted, aged = session.store.completed(tries), session.store.completed(tries, queue=AGED_QUEUE)
    url = session.service.database_url
    with contextlib.ExitStack() as stack:
        hearing = stack.enter_context(Service(session.folder("hearing"), database_url=url))
        deaf = stack.enter_context(Service(session.folder("deaf"), database_url=url, listen_url=NOWHERE))
        ports = {"with the feed": hearing.port, "without the feed": deaf.port}
        after_delete = database.wait_for(_after_delete(session.service.port, ports, deleted.ids()))
        _keep_for_a_minute(session)
        after_prune = database.wait_for(_after_prune(url, ports, aged.ids()))
    for word, found in (("deleted", after_delete), ("pruned", after_prune)):
        for feed, seconds in found.items():
            session.say(2, f"{word}, {feed}: still answered for {max(seconds):.3f} s at most")
            yield Result(
                row=2,
                name=f"A {word} job, still answered elsewhere {feed}",
                unit="s",
                rounds=[max(seconds)],
                target=Target("at most", 1),
                note=f"the longest of {tries} jobs; from when its row was gone to the first 404",
            )


async def _after_delete(deleter_port: int, ports: dict[str, int], ids: list[str]) -> dict[str, list[float]]:
    readers = {feed: await connect(port) for feed, port in ports.items()}
    deleter = await connect(deleter_port)
    found: dict[str, list[float]] = {feed: [] for feed in ports}
    for job_id in ids:
        await _read_twice(list(readers.values()), job_id)
        answer = await deleter.call(Request("DELETE", f"/v1/jobs/{job_id}").raw())
        if answer.status != 204:
            raise GeneratorError(f"a job could not be deleted: {answer.status}")
        waits = (_until_gone(reader, job_id, answer.at) for reader in readers.values())
        for feed, seconds in zip(found, await asyncio.gather(*waits), strict=True):
            found[feed].append(seconds)
    for connection in (deleter, *readers.values()):
        connection.close()
    return found


async def _after_prune(url: str, ports: dict[str, int], ids: list[str]) -> dict[str, list[float]]:
    """All of them go together, whenever one of the processes gets to it."""
    readers = {(feed, job_id): await connect(port) for feed, port in ports.items() for job_id in ids}
    rows = await asyncpg.connect(url)
    end = time.monotonic() + _LONGEST_SECONDS
    while await rows.fetchval("SELECT EXISTS (SELECT FROM jobs WHERE queue = $1)", AGED_QUEUE):
        if time.monotonic() > end:
            raise GeneratorError(f"the queue's jobs were not pruned within {_LONGEST_SECONDS:.0f} s")
        # Whatever may be remembered of them is, until the last moment; some have gone already in between.
        for (_, job_id), reader in readers.items():
            await reader.call(_get(job_id))
        await asyncio.sleep(_LOOK_SECONDS)
    gone_at = time.monotonic()
    await rows.close()
    waits = (_until_gone(reader, job_id, gone_at) for (_, job_id), reader in readers.items())
    found: dict[str, list[float]] = {feed: [] for feed in ports}
    for (feed, _), seconds in zip(readers, await asyncio.gather(*waits), strict=True):
        found[feed].append(seconds)
    for reader in readers.values():
        reader.close()
    return found


def _keep_for_a_minute(session: Session) -> None:
    # The shortest that may be asked for; these jobs ended before that.
    with session.service.client() as client:
        client.put(f"/v1/queues/{AGED_QUEUE}", json={"retention": {"seconds": 60}}).raise_for_status()


async def _read_twice(readers: list[Connection], job_id: str) -> None:
    for reader in readers * 2:
        answer = await reader.call(_get(job_id))
        if answer.status != 200:
            raise GeneratorError(f"a job that is there was answered with {answer.status}")


async def _until_gone(reader: Connection, job_id: str, since: float) -> float:
    while True:
        answer = await reader.call(_get(job_id))
        if answer.status == 404:
            return answer.at - since
        if answer.at - since > _LONGEST_SECONDS:
            raise GeneratorError(f"a job that is gone was still answered after {_LONGEST_SECONDS:.0f} s")
        await asyncio.sleep(_LOOK_SECONDS)


def _get(job_id: str) -> bytes:
    return Request("GET", f"/v1/jobs/{job_id}").raw()
