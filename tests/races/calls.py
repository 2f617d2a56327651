"""Requests of two services on one database, and the cutting of their connections."""

from typing import Any

import asyncpg
import httpx

from tests.races.conftest import Pair

LISTENING = "application_name = 'jobtrack' AND (query ILIKE 'LISTEN%' OR query = 'SELECT pg_notify($1, $2)')"


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def create(client: httpx.AsyncClient, queue: str, **said: Any) -> str:
    return str((await post(client, "/v1/jobs", type="work", queue=queue, **said))["id"])


async def claim(client: httpx.AsyncClient, queue: str, **said: Any) -> list[dict[str, Any]]:
    claimed: list[dict[str, Any]] = (await post(client, "/v1/claims", worker="w", queues=[queue], **said))["jobs"]
    return claimed


async def wait_for(client: httpx.AsyncClient, *ids: str, **said: Any) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = (await post(client, "/v1/jobs/wait", ids=list(ids), wait=25, **said))["jobs"]
    return jobs


async def cut(pair: Pair, which: str) -> int:
    """End connections of both services as a failing network or an administrator would."""
    connection = await asyncpg.connect(pair.database_url)
    try:
        rows = await connection.fetch(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND {which}"
        )
        return len(rows)
    finally:
        await connection.close()
