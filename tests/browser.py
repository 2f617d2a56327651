"""A real browser, where there is one: Chromium, driven over the WebDriver protocol.

JOBTRACK_TEST_CHROMIUM and JOBTRACK_TEST_CHROMEDRIVER name others than those in PATH.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.service_process import free_port

CHROMIUM = os.environ.get("JOBTRACK_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMEDRIVER = os.environ.get("JOBTRACK_TEST_CHROMEDRIVER") or shutil.which("chromedriver")
MISSING = "no Chromium with chromedriver here (Debian: chromium, chromium-driver)"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,2400",
    # There is no network but this machine's own.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
SECONDS = 20
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """An open browser."""

    def __init__(self, http: httpx.AsyncClient, session: str) -> None:
        self._http = http
        self._session = session

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the driver."""
        answer = await self._http.request(method, f"/session/{self._session}{path}", json=body)
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value

    async def open(self, url: str) -> None:
        """Load a page."""
        await self.call("POST", "/url", {"url": url})

    async def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page, and return what it returns."""
        return await self.call("POST", "/execute/sync", {"script": script, "args": arguments})

    async def until(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function until it returns something, also while the page changes to another."""
        ends_at = asyncio.get_running_loop().time() + SECONDS
        while not (found := await self.run(script, *arguments)):
            assert asyncio.get_running_loop().time() < ends_at, f"still not: {script} {arguments}"
            await asyncio.sleep(0.05)
        return found

    async def shows(self, selector: str, text: str) -> None:
        """Wait until an element holds a text that is seen."""
        script = "return document.querySelector(arguments[0])?.innerText?.includes(arguments[1])"
        try:
            await self.until(script, selector, text)
        except AssertionError:
            seen = await self.run("return document.querySelector(arguments[0])?.innerText", selector)
            raise AssertionError(f"{selector} does not hold {text!r} but {seen!r}") from None

    async def devtools(self, command: str, **parameters: Any) -> Any:
        """Run a command of the DevTools' protocol."""
        return await self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    async def emulate(self, command: str, **parameters: Any) -> None:
        """Change what the page runs in, by a command of the DevTools' domain Emulation."""
        await self.devtools(f"Emulation.{command}", **parameters)

    async def dark(self, value: str = "dark") -> None:
        """Prefer dark colours, or light ones."""
        await self.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    async def narrow(self, width: int = 375) -> None:
        """Be as wide as a telephone."""
        await self.emulate("setDeviceMetricsOverride", width=width, height=812, deviceScaleFactor=1, mobile=True)

    async def path(self) -> str:
        """Read the address, without the service's own."""
        return str(await self.run("return location.pathname + location.search"))

    async def element(self, selector: str) -> str:
        """Find an element, waiting until it is there and shown."""
        ends_at = asyncio.get_running_loop().time() + SECONDS
        while asyncio.get_running_loop().time() < ends_at:
            found = await self.call("POST", "/elements", {"using": "css selector", "value": selector})
            for one in found:
                if await self.call("GET", f"/element/{one[ELEMENT]}/displayed"):
                    return str(one[ELEMENT])
            await asyncio.sleep(0.05)
        raise AssertionError(f"there is no {selector} on the page")

    async def count(self, selector: str) -> int:
        """How many elements there are, shown or not."""
        return len(await self.call("POST", "/elements", {"using": "css selector", "value": selector}))

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

    async def value(self, selector: str) -> str:
        """Read what is written in a field."""
        return str(await self.call("GET", f"/element/{await self.element(selector)}/property/value"))

    async def log(self, kind: str) -> list[dict[str, Any]]:
        """Take what the browser has logged."""
        return list(await self.call("POST", "/se/log", {"type": kind}))

    async def complaints(self) -> list[str]:
        """Take what the page's policy has refused, and what its scripts have thrown or called an error."""
        return [entry["message"] for entry in await self.log("browser") if entry["level"] == "SEVERE"]


@asynccontextmanager
async def open_browser(profile: Path, *flags: str) -> AsyncIterator[Browser]:
    """Start a browser with a profile of its own."""
    port = free_port()
    driver = await asyncio.create_subprocess_exec(
        str(CHROMEDRIVER), f"--port={port}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    options = {"binary": CHROMIUM, "args": [*FLAGS, *flags, f"--user-data-dir={profile}"]}
    wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            async with asyncio.timeout(SECONDS):
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
        await asyncio.wait_for(driver.wait(), SECONDS)
