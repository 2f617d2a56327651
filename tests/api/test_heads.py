"""What a raw socket may send: heads within 64 KiB and ten seconds, and bodies that somebody reads."""

import asyncio
import contextlib
import json
import logging
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from app.cli.connections import MAX_HEAD_BYTES, PROBES, Connections
from app.cli.http_protocol import LINGER_BYTES
from tests.api.raw_socket import Connection, connected
from tests.inside_service import serve_inside
from tests.service_process import API_KEY, ServiceProcess

KIB = 1024
GET = b"GET /livez HTTP/1.1\r\nHost: t\r\n"
CHUNKED = b"POST /v1/jobs HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
AUTHORIZED = f"Authorization: Bearer {API_KEY}\r\n".encode()
# More than the buffers of both sockets take, so that who writes it must have been read, or is cut.
LONG = LINGER_BYTES // 2
"""Bytes that the service reads on for, so that the client gets its answer."""


async def write(connection: Connection, data: bytes) -> int:
    """Write until all is sent or the other side has closed; return how much was taken."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        for start in range(0, len(data), 64 * KIB):
            connection.writer.write(data[start : start + 64 * KIB])
            await connection.writer.drain()
            sent += 64 * KIB
    return min(sent, len(data))


async def problem(connection: Connection) -> tuple[int, str]:
    status, headers = await connection.head()
    assert headers["connection"] == "close"
    body = json.loads(await connection.reader.readexactly(int(headers["content-length"])))
    return status, body["code"]


def header_of(size: int) -> bytes:
    return b"a: " + b"x" * (size - 5) + b"\r\n"


async def test_head_of_64_kib_is_read(service: ServiceProcess) -> None:
    async with connected(service.port) as connection:
        for _ in range(2):
            connection.writer.write(GET + header_of(MAX_HEAD_BYTES - len(GET) - 2) + b"\r\n")
            status, headers = await connection.head()
            assert status == 200
            await connection.reader.readexactly(int(headers["content-length"]))


@pytest.mark.parametrize(
    "head",
    [
        GET + header_of(MAX_HEAD_BYTES - len(GET) - 1) + b"\r\n",
        GET + header_of(LONG),
        GET + b"a:\r\n" * (LONG // 4),
        b"GET /" + b"a" * LONG,
        b"\r\n" * (LONG // 2),
        CHUNKED + AUTHORIZED + b"\r\n1;a=" + b"x" * LONG,
        CHUNKED + AUTHORIZED + b"\r\n1\r\n{\r\n0\r\na: " + b"x" * LONG,
        CHUNKED + AUTHORIZED + b"\r\n1\r\n{\r\n0\r\n" + b"a:\r\n" * (LONG // 4),
    ],
    ids=["a byte more", "header", "headers", "target", "empty lines", "chunk extension", "trailer", "trailers"],
)
async def test_longer_head_is_refused_and_not_read(service: ServiceProcess, head: bytes) -> None:
    async with connected(service.port) as connection:
        writing = asyncio.create_task(write(connection, head))
        assert await problem(connection) == (431, "head_too_large")
        await writing


async def test_client_that_does_not_stop_is_cut(service: ServiceProcess) -> None:
    async with connected(service.port) as connection:
        # What was on its way, and no more.
        assert await write(connection, GET + header_of(4 * LINGER_BYTES)) < 2 * LINGER_BYTES


async def test_many_requests_in_a_packet_are_all_answered(service: ServiceProcess) -> None:
    count = 5_000
    async with connected(service.port) as connection:
        writing = asyncio.create_task(write(connection, (GET + b"\r\n") * count))
        for _ in range(count):
            status, headers = await connection.head()
            assert status == 200
            await connection.reader.readexactly(int(headers["content-length"]))
        await writing


async def test_trailer_is_no_header(service: ServiceProcess) -> None:
    async with connected(service.port) as connection:
        connection.writer.write(CHUNKED + b"\r\n2\r\n{}\r\n0\r\n" + AUTHORIZED + b"\r\n")
        assert (await connection.head())[0] == 401


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /li", GET], ids=["nothing", "a line", "half a line", "no end"])
async def test_connection_without_a_whole_head_is_closed_in_time(database_url: str, sent: bytes) -> None:
    async with (
        serve_inside(database_url, connections=Connections(head_seconds=0.1)) as inside,
        connected(inside.port) as connection,
    ):
        connection.writer.write(sent)
        assert await connection.rest() == b""


@pytest.mark.parametrize(
    ("together", "sent"), [(True, b"GET /li"), (True, GET), (False, b"\r\n"), (False, b"GET /li"), (False, GET)]
)
async def test_second_head_of_a_connection_is_timed_as_well(database_url: str, together: bool, sent: bytes) -> None:
    async with (
        serve_inside(database_url, connections=Connections(head_seconds=0.1)) as inside,
        connected(inside.port) as connection,
    ):
        connection.writer.write(GET + b"\r\n" + (sent if together else b""))
        status, headers = await connection.head()
        assert status == 200
        await connection.reader.readexactly(int(headers["content-length"]))
        if not together:
            connection.writer.write(sent)
        assert await connection.rest() == b""


async def test_part_of_a_head_ends_no_answer_before_it(database_url: str) -> None:
    async with serve_inside(database_url, connections=Connections(head_seconds=0.1)) as inside:
        job = (await inside.client.post("/v1/jobs", json={"type": "t"})).json()
        async with connected(inside.port) as connection:
            connection.send(f"GET /v1/jobs/{job['id']}?wait=1 HTTP/1.1", "Host: t\r\n", after=b"GET /li")
            status, headers = await connection.head()
            assert status == 200
            assert json.loads(await connection.reader.readexactly(int(headers["content-length"])))["id"] == job["id"]
            assert await connection.rest() == b""


@pytest.mark.parametrize("after", [b"\x00\x01\r\n\r\n", GET + header_of(LONG)], ids=["nonsense", "long head"])
async def test_what_cannot_be_read_waits_for_the_answer_before_it(database_url: str, after: bytes) -> None:
    async with serve_inside(database_url) as inside, connected(inside.port) as connection:
        job = (await inside.client.post("/v1/jobs", json={"type": "t"})).json()
        connection.send(f"GET /v1/jobs/{job['id']}?wait=1 HTTP/1.1", "Host: t\r\n")
        connection.writer.write(after[: 4 * MAX_HEAD_BYTES])
        status, headers = await connection.head()
        assert status == 200
        assert json.loads(await connection.reader.readexactly(int(headers["content-length"])))["id"] == job["id"]
        assert await connection.rest() == b""


@pytest.mark.parametrize(
    "request_head",
    [
        b"PUT /v1/jobs/01890a5d-ac96-774b-bcce-b302099a8057/input HTTP/1.1\r\n",
        b"POST /v1/jobs HTTP/1.1\r\n",
        b"POST /jobs/statuses HTTP/1.1\r\n",
        b"GET /livez HTTP/1.1\r\n",
        b"POST /nothing HTTP/1.1\r\n",
    ],
    ids=lambda head: head.split()[1].decode(),
)
async def test_answer_before_the_body_was_read_ends_the_connection(
    service: ServiceProcess, request_head: bytes
) -> None:
    async with connected(service.port) as connection:
        connection.writer.write(request_head + b"Host: t\r\nContent-Length: 10000000000\r\n\r\n")
        status, headers = await connection.head()
        assert status in {200, 401, 404}
        assert headers["connection"] == "close"
        await connection.rest()
        assert await write(connection, bytes(4 * LINGER_BYTES)) < 4 * LINGER_BYTES


async def test_body_that_comes_after_the_answer_does_not_lose_it(service: ServiceProcess) -> None:
    async with connected(service.port) as connection:
        connection.writer.write(b"POST /v1/jobs HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n")
        await asyncio.wait_for(connection.reader.readuntil(b"401 Unauthorized"), 10)
        assert await write(connection, bytes(1_000_000)) == 1_000_000
        assert b"unauthorized" in await connection.rest()


async def test_broken_chunk_is_refused_at_once(service: ServiceProcess) -> None:
    async with connected(service.port) as connection:
        connection.writer.write(CHUNKED + AUTHORIZED + b"\r\n1\r\n{\r\nzz\r\n")
        assert await problem(connection) == (400, "malformed")
        assert await connection.rest() == b""


NONSENSE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT t:443 HTTP/1.1\r\nHost: t\r\n\r\n",
    b"GET http://[::1/ HTTP/1.1\r\nHost: t\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: t\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
    GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    GET + b"Expect: what\r\n\r\n",
    GET + b"a\x00: b\r\n\r\n",
]


@pytest.mark.parametrize("sent", NONSENSE, ids=range(len(NONSENSE)))
async def test_nonsense_is_no_error_of_ours_and_no_line_in_the_log(service: ServiceProcess, sent: bytes) -> None:
    before = service.log.stat().st_size
    async with connected(service.port) as connection:
        connection.writer.write(sent)
        assert (await connection.head())[0] < 500
    async with connected(service.port) as connection:
        connection.writer.write(GET + b"\r\n")
        assert (await connection.head())[0] == 200
    assert service.log.stat().st_size == before


async def test_idle_connections_make_room_for_new_ones(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    most = 20
    with caplog.at_level(logging.WARNING, "jobtrack"):
        async with contextlib.AsyncExitStack() as stack:
            inside = await stack.enter_async_context(serve_inside(database_url, connections=Connections(most)))
            await inside.client.aclose()
            first, *others = [await stack.enter_async_context(connected(inside.port)) for _ in range(3 * most)]
            assert await first.rest() == b""
            newest = others[-1]
            newest.send("GET /v1/jobs HTTP/1.1", "Host: t\r\n")
            assert (await newest.head())[0] == 200
    assert sum("longest idle" in record.message for record in caplog.records) == 1


async def test_only_probes_are_answered_where_no_connection_is_idle(database_url: str) -> None:
    most = 20
    async with contextlib.AsyncExitStack() as stack:
        inside = await stack.enter_async_context(serve_inside(database_url, connections=Connections(most)))
        job = (await inside.client.post("/v1/jobs", json={"type": "t"}, headers={"Connection": "close"})).json()
        held = [await stack.enter_async_context(connected(inside.port)) for _ in range(most)]
        for connection in held:
            connection.send(f"GET /v1/jobs/{job['id']}?wait=50 HTTP/1.1", "Host: t\r\n")
        async with asyncio.timeout(20):
            while len(inside.runtime.waiters) < most:
                await asyncio.sleep(0.01)
        # More than the reserve has places, and silent.
        first, *_ = [await stack.enter_async_context(connected(inside.port)) for _ in range(2 * PROBES)]
        assert await first.rest() == b""
        for path, expected in (("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/v1/jobs", 503)):
            connection = await stack.enter_async_context(connected(inside.port))
            connection.send(f"GET {path} HTTP/1.1", "Host: t\r\n")
            status, headers = await connection.head()
            assert (status, headers["connection"]) == (expected, "close")
            assert ("retry-after" in headers) is (expected == 503)
        inside.runtime.drain()
        for connection in held:
            assert (await connection.head())[0] == 200


class FewDescriptors(ServiceProcess):
    """A service whose limit of open files is low, and half as low until it raises it."""

    wrapper = ("sh", "-c", 'ulimit -Sn 128 && ulimit -Hn 256 && exec "$@"', "sh")


async def test_process_raises_its_limit_and_answers_beside_more_clients_than_it_can_hold(
    database_url: str, room: Path
) -> None:
    service = FewDescriptors(database_url, room / uuid4().hex[:8])
    try:
        await service.ready()
        assert psutil.Process(service.process.pid).rlimit(psutil.RLIMIT_NOFILE) == (256, 256)
        async with contextlib.AsyncExitStack() as stack, service.client() as client:
            for _ in range(400):
                await stack.enter_async_context(connected(service.port))
            for path in ("/livez", "/readyz", "/v1/jobs"):
                assert (await client.get(path)).status_code == 200
        assert service.log.read_text().count("the longest idle ones are closed") == 1
    finally:
        service.kill()
