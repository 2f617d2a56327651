"""Docent's uploads: whole or not at all, and never more of them in memory than a little."""

import asyncio
import gzip
import uuid
import zlib
from collections.abc import AsyncIterator, Iterator

import asyncpg
import httpx
import psutil
import pytest

from app.db.opening import asyncpg_dsn
from app.dialects.docent.wire import MAX_UPLOAD_BYTES
from tests.conftest import StartService

MIB = 1024 * 1024
GZIP = {"Content-Encoding": "gzip"}
RUNS = b'{"agent_runs": [{"metadata": {"n": 1}}]}'


def zipped(size: int, block: bytes) -> Iterator[bytes]:
    """So many bytes of a block, compressed as they come."""
    packer = zlib.compressobj(wbits=31)
    for _ in range(size // len(block)):
        yield packer.compress(block)
    yield packer.flush()


async def sent(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        if piece:
            yield piece


async def rows(url: str) -> list[int]:
    """How many jobs and chunks of inputs there are."""
    connection = await asyncpg.connect(asyncpg_dsn(url))
    counts = [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in ("jobs", "input_chunks")]
    await connection.close()
    return counts


@pytest.mark.parametrize("headers", [{}, GZIP, {"Content-Encoding": "x-gzip"}, {"Content-Type": ""}])
async def test_worker_reads_what_was_uploaded_inflated(api: httpx.AsyncClient, headers: dict[str, str]) -> None:
    collection = str(uuid.uuid4())
    body = gzip.compress(RUNS[:9]) + gzip.compress(RUNS[9:]) if "gzip" in str(headers) else RUNS
    answer = await api.post(f"/rest/{collection}/agent_runs", content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["job_id"]
    got = await api.get(f"/v1/jobs/{job_id}/input")
    assert (got.content, got.headers["content-type"]) == (RUNS, "application/json")
    job = (await api.get(f"/v1/jobs/{job_id}")).json()
    assert (job["type"], job["collection"]) == ("agent_run_ingest_job", collection)


@pytest.mark.slow
async def test_memory_stays_flat_for_a_hundred_mebibytes_and_for_a_bomb(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service()
    block = bytes(range(256)) * 256
    async with service.client(timeout=120) as api:
        await api.post("/rest/c/agent_runs", content=gzip.compress(RUNS), headers=GZIP)
        process = psutil.Process(service.process.pid)
        before = highest = process.memory_info().rss
        stored = await rows(database_url)

        async def upload(size: int, block: bytes) -> httpx.Response:
            nonlocal highest
            content = sent(zipped(size, block))
            task = asyncio.create_task(api.post("/rest/c/agent_runs", content=content, headers=GZIP))
            while not task.done():
                highest = max(highest, process.memory_info().rss)
                await asyncio.wait({task}, timeout=0.02)
            return await task

        bomb = await upload(4 * MAX_UPLOAD_BYTES, bytes(MIB))
        assert bomb.status_code == 413
        assert "inflates to more than" in bomb.json()["detail"]
        assert await rows(database_url) == stored
        whole = await upload(MAX_UPLOAD_BYTES, block)
        assert whole.status_code == 202, whole.text
        size = (await api.get(f"/v1/jobs/{whole.json()['job_id']}/input", headers={"Range": "bytes=0-0"})).headers
        assert size["content-range"].endswith(f"/{MAX_UPLOAD_BYTES}")
    assert highest - before < 20 * MIB, f"{(highest - before) / MIB:.1f} MiB more"


@pytest.mark.parametrize("headers", [{}, GZIP])
async def test_torn_upload_stores_nothing(
    start_service: StartService, database_url: str, headers: dict[str, str]
) -> None:
    service = await start_service()

    async def half() -> AsyncIterator[bytes]:
        for piece in zipped(8 * MIB, bytes(range(256)) * 256) if headers else [bytes(MIB)] * 3:
            yield piece
        raise ConnectionError("cut")

    async with service.client() as api:
        with pytest.raises(ConnectionError):
            await api.post("/rest/c/agent_runs", content=half(), headers=headers)
        async with asyncio.timeout(20):
            while await rows(database_url) != [0, 0]:
                await asyncio.sleep(0.05)
        assert (await api.get("/v1/jobs")).json()["jobs"] == []


async def test_key_without_the_right_stores_nothing(api: httpx.AsyncClient) -> None:
    key = (await api.post("/v1/keys", json={"name": "k", "scopes": ["read"]})).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    collection = str(uuid.uuid4())
    assert (await api.get("/rest/api-keys/test", headers=headers)).status_code == 200
    answer = await api.post(f"/rest/{collection}/agent_runs", content=RUNS, headers=headers)
    assert answer.status_code == 403
    assert (await api.get("/v1/jobs", params={"collection": collection})).json()["jobs"] == []
