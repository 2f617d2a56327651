"""The client's wheel over HTTP, where it was built and where it was not."""

import hashlib
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from app.dashboard.client_wheel import ClientWheel, make_client_routes, read_client_wheel
from app.dashboard.now.routes import make_start_page
from app.version import running_version
from app.web.front import Front
from app.web.http_metrics import HttpMetrics
from app.web.route_table import RouteTable

CONTENT = bytes(range(256)) * 300
WHEEL = ClientWheel("jobtrack_client-9.9-py3-none-any.whl", CONTENT, hashlib.sha256(CONTENT).hexdigest())
PATH = f"/client/{WHEEL.name}"


def browser(wheel: ClientWheel | None) -> httpx.AsyncClient:
    """A client without a key of a service that has only these routes."""
    table = RouteTable([make_start_page({"native": "Jobtrack"}, wheel), make_client_routes(wheel)])
    front = Front(FastAPI(), table, None, HttpMetrics(CollectorRegistry()))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="https://jobs.example:8443")


async def test_wheel_is_served_to_anybody_and_may_be_kept() -> None:
    async with browser(WHEEL) as client:
        got, head = await client.get(PATH), await client.head(PATH)
    assert (got.status_code, got.content) == (200, CONTENT)
    assert (head.status_code, head.content) == (200, b"")
    for answer in (got, head):
        assert answer.headers["content-length"] == str(len(CONTENT))
        assert answer.headers["etag"] == f'"{WHEEL.sha256}"'
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("tags", ['"{}"', 'W/"{}"', '"x", "{}-gzip"', "*"])
async def test_wheel_that_the_caller_has_is_not_sent_again(method: str, tags: str) -> None:
    async with browser(WHEEL) as client:
        answer = await client.request(method, PATH, headers={"If-None-Match": tags.format(WHEEL.sha256)})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == f'"{WHEEL.sha256}"'
        assert answer.headers["cache-control"].endswith("immutable")
        other = await client.request(method, PATH, headers={"If-None-Match": '"' + "0" * 64 + '"'})
        assert other.status_code == 200


@pytest.mark.parametrize("wheel", [WHEEL, None], ids=["built", "not built"])
@pytest.mark.parametrize("path", ["/client/", PATH, "/client/other"])
async def test_other_methods_are_refused(wheel: ClientWheel | None, path: str) -> None:
    async with browser(wheel) as client:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("name", ["jobtrack_client-9.8-py3-none-any.whl", "x", ".built", "%2e%2e"])
async def test_name_that_is_not_the_wheels_is_not_found(name: str) -> None:
    async with browser(WHEEL) as client:
        answer = await client.get(f"/client/{name}")
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["code"] == "not_found"
    assert PATH in answer.json()["detail"]


async def test_address_has_the_callers_host_and_the_digest() -> None:
    async with browser(WHEEL) as client:
        line, page = await client.get("/client/"), await client.get("/")
    address = f"https://jobs.example:8443{PATH}#sha256={WHEEL.sha256}"
    assert line.text == f"{address}\n"
    assert line.headers["content-type"].startswith("text/plain")
    assert f">pip install &#x27;{address}&#x27;</code>" in page.text.replace("'", "&#x27;")


async def test_host_of_the_caller_is_no_markup() -> None:
    async with browser(WHEEL) as client:
        page = await client.get("/", headers={"Host": "<script>x</script>"})
    assert "<script>x" not in page.text
    assert "&lt;script&gt;x" in page.text


@pytest.mark.parametrize("path", ["/client/", PATH])
async def test_service_without_the_wheel_says_what_to_do(path: str) -> None:
    async with browser(None) as client:
        answer, page = await client.get(path), await client.get("/")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "run `make assets`" in answer.json()["detail"]
    assert "run <code>make assets</code>" in page.text
    assert "pip install &#x27;http" not in page.text


def test_wheel_of_another_version_is_not_this_services(tmp_path: Path) -> None:
    assert read_client_wheel(tmp_path) is None
    (tmp_path / "jobtrack_client-0.0.1-py3-none-any.whl").write_bytes(b"old")
    assert read_client_wheel(tmp_path) is None
    name = f"jobtrack_client-{running_version()}-py3-none-any.whl"
    (tmp_path / name).write_bytes(CONTENT)
    assert read_client_wheel(tmp_path) == ClientWheel(name, CONTENT, WHEEL.sha256)
