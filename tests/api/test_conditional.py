"""If-None-Match on every route that answers 304: one tag or several, on one line or several, as proxies change them."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from app.cli.server import bare_app
from app.main import openapi_documents
from tests.api.conftest import Create

Conditional = Callable[[], Awaitable[str]]
SUFFIXES = ("", "-gzip", "-br", "-zstd", "-deflate", ";gzip", ";br", "--gzip")


@pytest.fixture(params=["job", "input", "file"])
def conditional(request: pytest.FixtureRequest, api: httpx.AsyncClient, create: Create) -> Conditional:
    """Create something that has an entity tag; returns its path."""

    async def make() -> str:
        if request.param == "file":
            return "/static/jobtrack.css"
        path = f"/v1/jobs/{(await create())['id']}"
        if request.param == "input":
            path += "/input"
            await api.put(path, content=b"some bytes")
        return path

    return make


def test_every_conditional_operation_is_tried_here() -> None:
    found = [
        path
        for document in openapi_documents(bare_app()).values()
        for path, methods in document["paths"].items()
        for said in methods.values()
        if "304" in said["responses"]
    ]
    assert found == ["/v1/jobs/{job_id}", "/v1/jobs/{job_id}/input"]


async def test_tag_is_known_in_all_its_forms(api: httpx.AsyncClient, conditional: Conditional) -> None:
    path = await conditional()
    tag = (await api.get(path)).headers["etag"].strip('"')
    for suffix in SUFFIXES:
        same = f'"{tag}{suffix}"'
        for lines in ([same], [f"W/{same}"], [f'"x", {same}'], ['"x"', same], ['"x"', f'W/"y",{same}']):
            answer = await api.get(path, headers=[("If-None-Match", line) for line in lines])
            assert answer.status_code == 304, lines
            assert answer.headers["etag"].strip('"') == tag
            assert answer.content == b""
    for lines in (["*"], ['"x"', "*"], ["*", '"x"']):
        assert (await api.get(path, headers=[("If-None-Match", line) for line in lines])).status_code == 304, lines


async def test_other_tag_is_another_version(api: httpx.AsyncClient, conditional: Conditional) -> None:
    path = await conditional()
    tag = (await api.get(path)).headers["etag"].strip('"')
    for other in (
        f'"{tag}0"',
        f'"0{tag}"',
        f'"{tag}-x"',
        f'"{tag}-gzip0"',
        f'"-gzip{tag}"',
        tag,
        '"*"',
        '"a,*,b"',
        '""',
    ):
        assert (await api.get(path, headers={"If-None-Match": other})).status_code == 200, other


async def test_wait_holds_for_a_tag_that_a_proxy_has_changed(api: httpx.AsyncClient, create: Create) -> None:
    """Without it the loop that the documentation shows would turn as fast as the network allows."""
    answer = await api.get(f"/v1/jobs/{(await create())['id']}?wait=1", headers={"If-None-Match": '"1-gzip"'})
    assert (answer.status_code, answer.headers["preference-applied"]) == (304, "wait=1")


async def test_range_is_of_the_very_bytes(api: httpx.AsyncClient, create: Create) -> None:
    path = f"/v1/jobs/{(await create())['id']}/input"
    await api.put(path, content=b"some bytes")
    tag = (await api.get(path)).headers["etag"].strip('"')
    for if_range, status in ((tag, 206), (f"{tag}-gzip", 200)):
        answer = await api.get(path, headers={"Range": "bytes=0-3", "If-Range": f'"{if_range}"'})
        assert answer.status_code == status
