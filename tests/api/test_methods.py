"""A path that exists for another method is 405 with the methods that it takes, on all paths of all documents."""

import httpx
import pytest

from tests.api.operations import OPERATIONS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PAGES = (
    "/",
    "/docs",
    "/docs/problems",
    "/openapi.json",
    "/dialects/immuta/openapi.json",
    "/static/jobtrack.css",
    "/client/",
    "/client/none.whl",
)


def _taken() -> dict[str, set[str]]:
    """The methods of every path, with ids in place."""
    taken: dict[str, set[str]] = {path: {"GET"} for path in PAGES}
    for one in OPERATIONS:
        taken.setdefault(one.url, set()).add(one.method.upper())
    return {path: methods | ({"HEAD"} if "GET" in methods else set()) for path, methods in taken.items()}


TAKEN = _taken()


@pytest.mark.parametrize("path", TAKEN)
async def test_other_methods_are_refused_with_those_of_the_path(api: httpx.AsyncClient, path: str) -> None:
    for method in METHODS:
        if method not in TAKEN[path]:
            answer = await api.request(method, path)
            assert answer.status_code == 405, (method, answer.text)
            assert set(answer.headers["allow"].split(", ")) == TAKEN[path], method
            if method == "HEAD":
                assert not answer.content
            else:
                # What browsers read answers with a page.
                assert "That did not work" in answer.text if path == "/" else answer.json()


@pytest.mark.parametrize("path", [path for path in TAKEN if "HEAD" in TAKEN[path] and not path.endswith("events")])
async def test_head_is_answered_where_get_is(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.head(path)).status_code == (await api.get(path)).status_code


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/jobs/wait", "POST"),
        ("DELETE", "/v1/jobs/batch", "POST"),
        ("GET", "/v1/queues/x/pause", "POST"),
        ("PUT", "/v1/queues/a/b/resume", "POST"),
        ("PUT", "/v1/queues/x%20y/pause", "POST"),
        # Encoded, it is a part of the name.
        ("POST", "/v1/queues/x%2Fpause", "GET, PUT, DELETE, HEAD"),
        ("POST", "/v1/queues/x%2fpause", "GET, PUT, DELETE, HEAD"),
        ("PUT", "/v1/queues/x%2Fpause/pause", "POST"),
        ("GET", "/jobs/statuses", "POST"),
        ("GET", "/rest/c/agent_runs/jobs/batch_status", "POST"),
    ],
)
async def test_action_is_never_read_as_a_name(api: httpx.AsyncClient, method: str, path: str, allow: str) -> None:
    answer = await api.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (405, allow), answer.text


async def test_refused_method_configures_no_queue(api: httpx.AsyncClient) -> None:
    assert (await api.put("/v1/queues/never-made/pause", json={"paused": True})).status_code == 405
    for name in ("never-made", "never-made%2Fpause"):
        assert (await api.get(f"/v1/queues/{name}")).json()["created_at"] is None


async def test_error_is_of_the_vendor_whose_path_it_is(api: httpx.AsyncClient) -> None:
    assert (await api.get("/jobs/statuses")).json()["statusCode"] == 405
    assert (await api.put("/v1/jobs/wait")).headers["content-type"] == "application/problem+json"
