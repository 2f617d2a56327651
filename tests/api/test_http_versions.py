"""What a raw socket sees: HTTP/1.0 and its answers without chunks, the Host header, idle connections."""

import json

import httpx
import pytest

from app.cli.server import bare_app, server_config
from tests.api.conftest import Create
from tests.api.operations import OPERATIONS, UNKNOWN, Operation, name_of
from tests.api.raw_socket import connected
from tests.inside_service import serve_inside
from tests.service_process import ServiceProcess


async def test_stream_ends_with_the_connection_for_http_1_0(
    service: ServiceProcess, api: httpx.AsyncClient, create: Create
) -> None:
    job = await create()
    async with connected(service.port) as connection:
        connection.send(f"GET /v1/jobs/{job['id']}/stream HTTP/1.0")
        status, headers = await connection.head()
        assert (status, "transfer-encoding" in headers, headers["connection"]) == (200, False, "close")
        assert (await connection.reader.readline()).startswith(b"retry: ")
        await api.post(f"/v1/jobs/{job['id']}/cancel")
        text = (await connection.rest()).decode()
        assert text.endswith("\n\n")
        frames = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
        assert "cancelled" in [frame.get("status") for frame in frames]


async def test_wait_that_is_kept_alive_ends_with_the_connection_for_http_1_0(database_url: str) -> None:
    async with serve_inside(database_url, space_seconds=0.01) as inside:
        job = (await inside.client.post("/v1/jobs", json={"type": "t"})).json()
        async with connected(inside.port) as connection:
            connection.send("POST /v1/jobs/wait HTTP/1.0", body=json.dumps({"ids": [job["id"]], "wait": -1}))
            status, headers = await connection.head()
            assert (status, "transfer-encoding" in headers, headers["connection"]) == (200, False, "close")
            assert await connection.reader.readexactly(2) == b"  "
            await inside.client.post(f"/v1/jobs/{job['id']}/cancel")
            [shown] = json.loads(await connection.rest())["jobs"]
            assert shown["status"] == "cancelled"


@pytest.mark.parametrize(
    "one",
    [one for one in OPERATIONS if one.method in {"get", "delete"} and one.said["operationId"] != "events_stream"],
    ids=name_of,
)
async def test_no_answer_to_http_1_0_has_chunks(service: ServiceProcess, one: Operation) -> None:
    async with connected(service.port) as connection:
        connection.send(f"{one.method.upper()} {one.url} HTTP/1.0")
        status, headers = await connection.head()
        assert status < 500
        assert "transfer-encoding" not in headers
        body = await connection.rest()
        assert len(body) == int(headers.get("content-length", len(body)))


async def test_http_1_1_still_gets_chunks(service: ServiceProcess, create: Create, api: httpx.AsyncClient) -> None:
    job = await create()
    await api.post(f"/v1/jobs/{job['id']}/cancel")
    async with connected(service.port) as connection:
        connection.send(f"GET /v1/jobs/{job['id']}/stream HTTP/1.1", "Host: t\r\n")
        assert (await connection.head())[1]["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("path", ["/livez", f"/v1/jobs/{UNKNOWN}", "/jobs/statuses", "/static/jobtrack.css", "/none"])
@pytest.mark.parametrize("hosts", [0, 2])
async def test_http_1_1_needs_one_host(service: ServiceProcess, path: str, hosts: int) -> None:
    async with connected(service.port) as connection:
        connection.send(f"GET {path} HTTP/1.1", "Host: t\r\n" * hosts)
        status, headers = await connection.head()
        assert status == 400
        body = json.loads(await connection.reader.readexactly(int(headers["content-length"])))
        # In the shape of whose path it is.
        assert (body.get("statusCode") if path == "/jobs/statuses" else body["code"]) in {400, "malformed"}
        # The connection is as good as before.
        connection.send("GET /livez HTTP/1.1", "Host: t\r\n")
        assert (await connection.head())[0] == 200


async def test_http_1_0_needs_no_host(service: ServiceProcess) -> None:
    for hosts, expected in ((0, 200), (1, 200), (2, 400)):
        async with connected(service.port) as connection:
            connection.send("GET /livez HTTP/1.0", "Host: t\r\n" * hosts)
            assert (await connection.head())[0] == expected
            assert await connection.rest()


async def test_empty_host_is_a_host(service: ServiceProcess) -> None:
    async with connected(service.port) as connection:
        connection.send("GET /livez HTTP/1.1", "Host:\r\n")
        assert (await connection.head())[0] == 200


def test_idle_connection_outlives_the_pools_of_proxies() -> None:
    assert server_config(bare_app()).timeout_keep_alive == 75
