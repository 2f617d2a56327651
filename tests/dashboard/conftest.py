"""A browser's side of a session, without the browser: its cookies, its origin, the token that its pages hold."""

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.browser import Browser, open_browser
from tests.service_process import ServiceProcess


def visitor(service: ServiceProcess) -> httpx.AsyncClient:
    """A browser that has never been here."""
    headers = {"Origin": service.url, "Sec-Fetch-Site": "same-origin"}
    return httpx.AsyncClient(base_url=service.url, headers=headers, timeout=30)


async def sign_in(browser: httpx.AsyncClient, key: str) -> None:
    """Paste a key, as a reader without script does, and keep what changes must carry."""
    answer = await browser.post("/sign-in", data={"key": key})
    assert answer.status_code == 303, answer.text
    browser.headers["X-Jobtrack-Form"] = form_token((await browser.get("/ui/jobs/none")).text)


def form_token(page: str) -> str:
    """The token in a page."""
    found = re.search(r'"X-Jobtrack-Form": "([0-9a-f]+)"', page.replace("&#34;", '"'))
    assert found, page
    return found[1]


@pytest_asyncio.fixture
async def browser(service: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without a session."""
    async with visitor(service) as opened:
        yield opened


@pytest_asyncio.fixture
async def reader(service: ServiceProcess, browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser that is signed in with the first key."""
    await sign_in(browser, service.api_key)
    return browser


@pytest_asyncio.fixture
async def screen(tmp_path: Path) -> AsyncIterator[Browser]:
    """A real browser that has never been here; its tests are skipped where there is none."""
    async with open_browser(tmp_path / "profile") as opened:
        yield opened


async def open_link(screen: Browser, service: ServiceProcess, api: httpx.AsyncClient) -> None:
    """Sign a real browser in as people do: by the link that is printed, with a code for one use."""
    made = await api.post("/v1/sessions/codes")
    assert made.status_code == 201, made.text
    await screen.open(f"{service.url}{made.json()['path']}")
    await screen.element(".who")


@pytest.fixture
def queue() -> str:
    """A queue that no other test's worker takes from."""
    return f"ui-{uuid.uuid4()}"
