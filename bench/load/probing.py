"""One client's view of a service at rest: how long single calls take, one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load.connection import Answer, Connection, connect
from bench.load.generator import Channel, GeneratorError

KINDS = ("GET", "claim", "first list page", "wait wake-up")
_REGISTERED_SECONDS = 0.03
"""After which a wait that was sent is surely open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What is called; a wake is a wait and the completion that ends it."""

    gets: Sequence[bytes]
    claims: Sequence[bytes]
    lists: Sequence[bytes]
    wakes: Sequence[tuple[bytes, bytes]]


async def probe(channel: Channel | None, port: int, probes: Probes) -> dict[str, list[float]]:
    """The seconds of each call, by kind."""
    del channel
    first = await connect(port)
    found: dict[str, list[float]] = {}
    for kind, requests in zip(KINDS, (probes.gets, probes.claims, probes.lists), strict=False):
        # One that is not counted: the first call of a kind prepares what the others find.
        found[kind] = [await _timed(first, request) for request in requests][1:]
    second = await connect(port)
    found[KINDS[3]] = [await _woken(first, second, *wake) for wake in probes.wakes][1:]
    for connection in (first, second):
        connection.close()
    return found


async def _timed(connection: Connection, request: bytes) -> float:
    began = time.monotonic()
    answer = _checked(await connection.call(request))
    return answer.at - began


async def _woken(waiter: Connection, worker: Connection, wait: bytes, completion: bytes) -> float:
    waiting = asyncio.ensure_future(waiter.call(wait))
    await asyncio.sleep(_REGISTERED_SECONDS)
    began = time.monotonic()
    _checked(await worker.call(completion))
    answer = _checked(await waiting)
    return answer.at - began


def _checked(answer: Answer) -> Answer:
    if answer.status != 200:
        raise GeneratorError(f"a call was answered with {answer.status}")
    if answer.body == b'{"jobs":[]}':
        raise GeneratorError("a claim found nothing, or a list was empty")
    return answer
