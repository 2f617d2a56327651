"""A job's input over a socket: streamed both ways, by range, for those who may."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psutil
import pytest

from app.api.jobs.wire import InputOut
from app.core.inputs import CHUNK_BYTES, MAX_INPUT_BYTES
from tests.api.conftest import Claim, Create
from tests.api.raw_socket import connected
from tests.conftest import StartService
from tests.service_process import ServiceProcess

CONTENT = bytes(range(256)) * (CHUNK_BYTES // 256) * 2 + b"the end"


async def put(api: httpx.AsyncClient, job_id: str, content: Any = CONTENT, **headers: str) -> httpx.Response:
    return await api.put(f"/v1/jobs/{job_id}/input", content=content, headers=headers)


async def test_input_comes_back_as_it_went(api: httpx.AsyncClient, create: Create) -> None:
    path = f"/v1/jobs/{(job := await create())['id']}/input"
    assert (await api.get(path)).status_code == 404
    made = await put(api, job["id"], **{"Content-Type": "text/csv; charset=latin-1"})
    assert made.status_code == 201, made.text
    InputOut.model_validate(made.json())
    assert made.json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    read = await api.get(path)
    assert (read.status_code, read.content) == (200, CONTENT)
    assert read.headers["content-type"] == "text/csv; charset=latin-1"
    assert (read.headers["content-disposition"], read.headers["content-length"]) == ("attachment", str(len(CONTENT)))
    assert (await api.get(path, headers={"If-None-Match": read.headers["etag"]})).status_code == 304
    assert (await put(api, job["id"], b"other")).status_code == 200
    assert (await api.get(path)).content == b"other"
    assert (await put(api, job["id"], b"")).status_code == 200
    assert (await api.get(path)).content == b""


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, len(CONTENT)),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT)),
        (f"bytes={CHUNK_BYTES - 1}-{CHUNK_BYTES}", CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (f"bytes=1-{10**17}", 1, len(CONTENT)),
    ],
)
async def test_range(api: httpx.AsyncClient, create: Create, asked: str, start: int, end: int) -> None:
    job = await create()
    await put(api, job["id"])
    read = await api.get(f"/v1/jobs/{job['id']}/input", headers={"Range": asked})
    assert (read.status_code, read.content) == (206, CONTENT[start:end])
    assert read.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=3-2", "bytes=-0"])
async def test_range_outside_is_416(api: httpx.AsyncClient, create: Create, asked: str) -> None:
    job = await create()
    await put(api, job["id"])
    read = await api.get(f"/v1/jobs/{job['id']}/input", headers={"Range": asked})
    assert (read.status_code, read.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")


async def test_what_is_no_single_range_is_answered_whole(api: httpx.AsyncClient, create: Create) -> None:
    job = await create()
    await put(api, job["id"])
    for headers in ({"Range": "bytes=0-1,3-4"}, {"Range": "lines=1-2"}, {"Range": "bytes=0-1", "If-Range": '"x"'}):
        read = await api.get(f"/v1/jobs/{job['id']}/input", headers=headers)
        assert (read.status_code, len(read.content)) == (200, len(CONTENT))


async def test_input_changes_only_while_nobody_works(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create()
    await put(api, job["id"], b"first")
    token = (await claim())["lease"]["token"]
    late = await put(api, job["id"], b"second")
    assert (late.status_code, late.json()["code"]) == (409, "invalid_transition")
    assert (await api.get(f"/v1/jobs/{job['id']}/input")).content == b"first"
    await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": token})
    assert (await put(api, job["id"], b"third")).status_code == 409


async def test_rerun_has_the_input_of_its_original(api: httpx.AsyncClient, create: Create) -> None:
    job = await create()
    await put(api, job["id"])
    await api.post(f"/v1/jobs/{job['id']}/cancel")
    again = (await api.post(f"/v1/jobs/{job['id']}/rerun")).json()
    assert (await put(api, again["id"], b"of its own")).status_code == 200
    assert (await api.get(f"/v1/jobs/{job['id']}/input")).content == CONTENT
    await api.delete(f"/v1/jobs/{job['id']}")
    assert (await api.get(f"/v1/jobs/{job['id']}/input")).status_code == 404
    assert (await api.get(f"/v1/jobs/{again['id']}/input")).content == b"of its own"


async def test_who_may_read_an_input(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create()
    await put(api, job["id"])
    path = f"/v1/jobs/{job['id']}/input"
    made = {
        scope: (await api.post("/v1/keys", json={"name": scope, "scopes": [scope]})).json()["key"]
        for scope in ("read", "submit", "work")
    }

    async def read(scope: str, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {made[scope]}"} | ({"Lease-Token": token} if token else {})
        return await api.get(path, headers=headers)

    token = (await claim())["lease"]["token"]
    assert (await read("read")).status_code == 403
    assert (await read("submit")).status_code == 200
    assert (await read("work")).status_code == 403
    assert (await read("work", "nonsense")).status_code == 403
    assert (await read("work", str(uuid.uuid4()))).json()["code"] == "lease_lost"
    assert (await read("work", token)).content == CONTENT
    await api.post(f"/v1/jobs/{job['id']}/release", json={"token": token})
    assert (await read("work", token)).status_code == 409


async def test_key_of_another_queue_reads_no_input(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    job = await create()
    await put(api, job["id"])
    for queues, status in (([queue], 200), (["another"], 403)):
        asked = {"name": "k", "scopes": ["submit"], "queues": queues}
        key = (await api.post("/v1/keys", json=asked)).json()["key"]
        answer = await api.get(f"/v1/jobs/{job['id']}/input", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status


async def test_what_is_too_long_by_its_own_word_is_refused_before_it_comes(
    service: ServiceProcess, create: Create
) -> None:
    job = await create()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    head = f"PUT /v1/jobs/{job['id']}/input HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.api_key}\r\n"
    writer.write(f"{head}Content-Length: {MAX_INPUT_BYTES + 1}\r\n\r\n".encode())
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    await writer.wait_closed()


async def test_upload_that_will_be_refused_is_refused_before_it_comes(
    service: ServiceProcess, create: Create, claim: Claim, queue: str
) -> None:
    """For a job that is held or of another queue: no byte of it is asked for, and none is stored."""
    held, waiting = await create(), await create(queue=f"{queue}-other")
    await claim()
    async with service.client() as api:
        made = await api.post("/v1/keys", json={"name": "k", "scopes": ["submit"], "queues": [queue]})
    for job, status in ((held, 409), (waiting, 403), ({"id": uuid.uuid4()}, 404)):
        async with connected(service.port) as connection:
            connection.writer.write(
                f"PUT /v1/jobs/{job['id']}/input HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_INPUT_BYTES}\r\n"
                f"Authorization: Bearer {made.json()['key']}\r\n\r\n".encode()
            )
            answer, headers = await connection.head()
            assert (answer, headers.get("connection")) == (status, "close")


async def test_repeat_of_an_upload_is_answered_though_the_job_is_held_now(
    api: httpx.AsyncClient, create: Create, claim: Claim
) -> None:
    job = await create()
    key = {"Idempotency-Key": str(uuid.uuid4())}
    assert (await put(api, job["id"], b"first", **key)).status_code == 201
    await claim()
    again = await put(api, job["id"], b"first", **key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert (await put(api, job["id"], b"second", **key)).status_code == 422


async def test_what_is_compressed_or_for_nobody_is_refused(api: httpx.AsyncClient, create: Create) -> None:
    job = await create()
    assert (await put(api, job["id"], b"x", **{"Content-Encoding": "gzip"})).status_code == 415
    assert (await put(api, job["id"], b"x", **{"Content-Type": "nonsense"})).status_code == 422
    assert (await put(api, str(uuid.uuid4()), b"x")).status_code == 404
    assert (await put(api, "nonsense", b"x")).status_code == 404
    assert (await api.get(f"/v1/jobs/{job['id']}/input")).status_code == 404


async def test_upload_that_is_cut_off_stores_nothing(api: httpx.AsyncClient, create: Create) -> None:
    job = await create()

    async def half() -> AsyncIterator[bytes]:
        yield b"x" * (3 * CHUNK_BYTES)
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        await put(api, job["id"], half())
    assert (await api.get(f"/v1/jobs/{job['id']}/input")).status_code == 404


@pytest.mark.slow
async def test_hundred_mebibytes_raise_the_memory_by_less_than_twenty(start_service: StartService) -> None:
    service = await start_service()
    block = b"\xa5" * 65_536

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(MAX_INPUT_BYTES // len(block)):
            yield block

    async with service.client() as api:
        job = (await api.post("/v1/jobs", json={"type": "t"})).json()
        await put(api, job["id"], CONTENT)
        process = psutil.Process(service.process.pid)
        before = highest = process.memory_info().rss
        uploading = asyncio.create_task(put(api, job["id"], blocks()))
        while not uploading.done():
            highest = max(highest, process.memory_info().rss)
            await asyncio.wait({uploading}, timeout=0.02)
        assert (await uploading).json()["size_bytes"] == MAX_INPUT_BYTES
        size = 0
        async with api.stream("GET", f"/v1/jobs/{job['id']}/input") as answer:
            async for piece in answer.aiter_bytes():
                size += len(piece)
                highest = max(highest, process.memory_info().rss)
        assert size == MAX_INPUT_BYTES
    assert highest - before < 20 * 1024 * 1024, f"{(highest - before) / 2**20:.1f} MiB more"
