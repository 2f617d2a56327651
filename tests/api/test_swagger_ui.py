"""Swagger UI in a real browser: Authorize, create a job, read it, with no request to any other host.

Skipped where there is no Chromium. JOBTRACK_TEST_CHROMIUM and JOBTRACK_TEST_CHROMEDRIVER name others than those in
PATH.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from tests.service_process import ServiceProcess, free_port

CHROMIUM = os.environ.get("JOBTRACK_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMEDRIVER = os.environ.get("JOBTRACK_TEST_CHROMEDRIVER") or shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,2400",
    # There is no network but this machine's own.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="no Chromium with chromedriver here (Debian: chromium, chromium-driver)"
)


class Browser:
    """A browser, driven over the WebDriver protocol."""

    def __init__(self, http: httpx.AsyncClient, session: str) -> None:
        self._http = http
        self._session = session

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the driver."""
        answer = await self._http.request(method, f"/session/{self._session}{path}", json=body)
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value

    async def element(self, selector: str) -> str:
        """Find an element, waiting until it is there and shown."""
        ends_at = asyncio.get_running_loop().time() + 20
        while asyncio.get_running_loop().time() < ends_at:
            found = await self.call("POST", "/elements", {"using": "css selector", "value": selector})
            for one in found:
                if await self.call("GET", f"/element/{one[ELEMENT]}/displayed"):
                    return str(one[ELEMENT])
            await asyncio.sleep(0.05)
        raise AssertionError(f"there is no {selector} on the page")

    async def click(self, selector: str) -> None:
        """Press an element."""
        await self.call("POST", f"/element/{await self.element(selector)}/click", {})

    async def write(self, selector: str, text: str) -> None:
        """Write into an element, in place of what it holds."""
        element = await self.element(selector)
        await self.call("POST", f"/element/{element}/clear", {})
        await self.call("POST", f"/element/{element}/value", {"text": text})

    async def text(self, selector: str) -> str:
        """Read an element."""
        return str(await self.call("GET", f"/element/{await self.element(selector)}/text"))

    async def log(self, kind: str) -> list[dict[str, Any]]:
        """Take what the browser has logged."""
        return list(await self.call("POST", "/se/log", {"type": kind}))


@pytest_asyncio.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    port = free_port()
    driver = await asyncio.create_subprocess_exec(
        str(CHROMEDRIVER), f"--port={port}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]}
    wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            async with asyncio.timeout(20):
                while True:
                    try:
                        await http.get("/status")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
            made = await http.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
            assert made.status_code == 200, made.text
            opened = Browser(http, made.json()["value"]["sessionId"])
            yield opened
            await opened.call("DELETE", "")
    finally:
        driver.terminate()
        await asyncio.wait_for(driver.wait(), 20)


@pytest.mark.slow
async def test_job_is_created_and_read_in_swagger_ui(
    browser: Browser, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    await browser.call("POST", "/url", {"url": f"{service.url}/docs"})
    await browser.click(".btn.authorize")
    await browser.write(".modal-ux input[type=text], .modal-ux input[type=password]", service.api_key)
    await browser.click(".modal-ux .btn.authorize")
    await browser.click(".modal-ux .btn-done")

    create = "#operations-Jobs-jobs_create"
    await browser.click(f"{create} .opblock-summary-control")
    await browser.click(f"{create} .execute")
    made = json.loads(await browser.text(f"{create} .live-responses-table .highlight-code code"))
    assert made["status"] == "pending"

    get = "#operations-Jobs-jobs_get"
    await browser.click(f"{get} .opblock-summary-control")
    await browser.write(f"{get} tr[data-param-name=job_id] input", made["id"])
    await browser.click(f"{get} .execute")
    read = json.loads(await browser.text(f"{get} .live-responses-table .highlight-code code"))
    assert read["id"] == made["id"]
    assert (await api.get(f"/v1/jobs/{made['id']}")).json()["type"] == read["type"]

    hosts = set()
    for entry in await browser.log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = urlsplit(message["params"]["request"]["url"])
            if url.scheme.startswith("http"):
                hosts.add(url.netloc)
    assert hosts == {urlsplit(service.url).netloc}
    # Whatever the page's policy refuses, or a script throws, is a complaint here.
    assert [entry["message"] for entry in await browser.log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.slow
async def test_the_key_is_kept_by_the_page_alone(browser: Browser, service: ServiceProcess) -> None:
    async def stored() -> str:
        script = "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        return str(await browser.call("POST", "/execute/sync", {"script": script, "args": []}))

    await browser.call("POST", "/url", {"url": f"{service.url}/docs"})
    await browser.click(".btn.authorize")
    await browser.write(".modal-ux input[type=text], .modal-ux input[type=password]", service.api_key)
    await browser.click(".modal-ux .btn.authorize")
    await browser.click(".modal-ux .btn-done")
    await browser.element(".btn.authorize.locked")
    assert service.api_key not in await stored()
    # Another API of the same page is asked with the same key.
    await browser.click("#api option[value=captain]")
    await browser.element("#operations-Indexing-captain_index_azure")
    await browser.element(".btn.authorize.locked")
    assert service.api_key not in await stored()
    # What an earlier version has stored goes with the next visit, and whoever comes then has to bring a key.
    left = f'localStorage.setItem("authorized", "{service.api_key}")'
    await browser.call("POST", "/execute/sync", {"script": left, "args": []})
    await browser.call("POST", "/refresh", {})
    await browser.element(".btn.authorize.unlocked")
    assert service.api_key not in await stored()
