"""Calls of every kind, and what each came to."""

import asyncio
from dataclasses import dataclass

import httpx

CALLS = (
    ("POST", "/v1/jobs", {"type": "work", "queue": "silent"}),
    ("GET", "/v1/jobs?limit=1", None),
    ("POST", "/v1/claims", {"queues": ["silent"], "worker": "w", "max": 1, "wait": 0}),
    ("GET", "/v1/queues", None),
)


@dataclass(frozen=True)
class Outcome:
    """The status of a call; 0 if there was no answer in time."""

    call: str
    status: int


async def all_calls(client: httpx.AsyncClient, *, times: int, within: float) -> list[Outcome]:
    """Send each call several times at once; each ends within this many seconds."""

    async def one(method: str, path: str, body: object) -> Outcome:
        try:
            async with asyncio.timeout(within):
                answer = await client.request(method, path, json=body)
        except TimeoutError:
            return Outcome(path, 0)
        return Outcome(path, answer.status_code)

    return await asyncio.gather(*(one(*call) for call in CALLS for _ in range(times)))


async def until_ready(client: httpx.AsyncClient, *, ready: bool, within: float) -> None:
    """Ask until the service is ready, or until it is not."""
    async with asyncio.timeout(within):
        while ((await client.get("/readyz")).status_code == 200) is not ready:
            await asyncio.sleep(0.05)
