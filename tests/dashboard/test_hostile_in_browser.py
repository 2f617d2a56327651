"""What others write is text on every page of a real browser; and what a page asks for before it has been read.

Skipped where there is no Chromium (tests/browser.py).
"""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.browser import CHROMEDRIVER, CHROMIUM, MISSING, Browser
from tests.dashboard.conftest import open_link
from tests.dashboard.jobs import call, create, failed_job
from tests.dashboard.lone_projects import own_project
from tests.service_process import ServiceProcess

pytestmark = [pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason=MISSING), pytest.mark.slow]

TAG = "<img src=x onerror=alert(1)>"
QUOTE = "\"'><script>alert(2)</script>{{7*7}}"
TURNED = "\u202egpj.exe\u2066abc"
HOSTILE = pytest.mark.parametrize(
    "text",
    [
        pytest.param(TAG, id="tag", marks=pytest.mark.long),
        pytest.param(QUOTE, id="quote"),
        pytest.param(TURNED, id="turned", marks=pytest.mark.long),
    ],
)
FURTHER_FILES = 6


async def hostile_job(api: httpx.AsyncClient, text: str, queue: str) -> tuple[str, str]:
    """A job that has the text in every field that takes it, and its token."""
    queue = f"{queue}{text}"
    item = {"key": text, "name": f"name {text}", "status": "failed", "error_code": "bad_csv", "message": f"row {text}"}
    job = await create(
        api, queue, type=f"type{text}", items=[{"key": text}], labels={"team": text}, payload={text: text}
    )
    claimed = await api.post("/v1/claims", json={"worker": f"worker{text}", "queues": [queue]})
    token = claimed.json()["jobs"][0]["lease"]["token"]
    await call(api, job, "report", token, stage=f"stage{text}", message=f"message {text}", items=[item])
    return job, token


@HOSTILE
async def test_hostile_words_are_text(screen: Browser, service: ServiceProcess, queue: str, text: str) -> None:
    async with own_project(service) as (api, _):
        job, token = await hostile_job(api, text, queue)
        await open_link(screen, service, api)
        await screen.open(f"{service.url}/ui/jobs/{job}")
        await screen.shows("#live", "live")
        for before in ("type", queue, "worker", "stage", "message "):
            await screen.shows("#head", before + text)
        await screen.shows("#files", f"row {text}")
        await screen.shows("#errors", text)
        await screen.click("#copy")
        await screen.shows("#copy-texts", "curl")
        await screen.run("document.querySelector('#copy-job').close()")
        await screen.run("for (const one of document.querySelectorAll('details')) one.open = true")
        await screen.shows("#documents", text)
        await call(api, job, "fail", token, code="broken", message=f"error {text}", retryable=False)
        await screen.shows("#outcome", f"error {text}")

        for path, seen in (("/", f"error {text}"), ("/ui/jobs", queue + text), ("/ui/queues", queue + text)):
            await screen.open(f"{service.url}{path}")
            await screen.shows("main", seen)
        for name in ("worker", "queue", "name"):
            await screen.open(str(httpx.URL(f"{service.url}/ui/queues", params={name: text})))
            await screen.shows("main", text)
        for value in (text, f'label:"team={text}"', f'type:"type{text}"'):
            await screen.open(str(httpx.URL(f"{service.url}/ui/jobs", params={"filter": value})))
            assert await screen.value("#filter") == value
    assert await screen.count("img, main script") == 0
    # What is no filter is told with a 422, which the browser logs.
    assert [one for one in await screen.complaints() if "status of 422" not in one] == []


async def requests_before_load(screen: Browser) -> list[str]:
    """The paths that a page has asked for until all of its files were there."""
    paths: list[str] = []
    for entry in await screen.log("performance"):
        message: dict[str, Any] = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            paths.append(urlsplit(message["params"]["request"]["url"]).path)
        elif message["method"] == "Page.loadEventFired":
            return paths
    raise AssertionError(f"the page was not loaded: {paths}")


async def test_the_page_of_a_job_is_whole_at_once(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    job = await failed_job(api, queue)
    await open_link(screen, service, api)
    await screen.log("performance")
    await screen.open(f"{service.url}/ui/jobs/{job}")
    asked = await requests_before_load(screen)
    assert asked[0] == f"/ui/jobs/{job}"
    files = [path for path in asked if path.startswith("/static/")]
    assert asked[1 : len(files) + 1] == files, "parts of the page come after it"
    assert 0 < len(files) <= FURTHER_FILES
    assert all(path.startswith(f"/ui/jobs/{job}/") for path in asked[len(files) + 1 :]), "not the API"

    # The same without script.
    await screen.emulate("setScriptExecutionDisabled", value=True)
    await screen.open(f"{service.url}/ui/jobs/{job}")
    text = await screen.text("body")
    for words in ("bucket gone", "1 failed", "bad_csv", "reading", queue):
        assert words in text
    assert "search" in await screen.call("GET", "/source"), "a label, folded"
    asked = await requests_before_load(screen)
    assert len(asked[1:]) <= FURTHER_FILES
