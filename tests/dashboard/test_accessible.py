"""axe-core finds nothing serious on any page, in light and in dark.

Skipped where there is no Chromium (tests/browser.py).
"""

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser import CHROMEDRIVER, CHROMIUM, MISSING, Browser
from tests.dashboard.conftest import open_link
from tests.dashboard.jobs import call, claim, create, failed_job
from tests.service_process import ServiceProcess

pytestmark = [pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason=MISSING), pytest.mark.slow]

AXE = Path(sys.prefix) / "generators/node_modules/axe-core/axe.min.js"
"""Where `make` has installed it (requirements/sdk)."""
SERIOUS = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => done(
  violations.filter((one) => ["serious", "critical"].includes(one.impact)).flatMap(
    (one) => one.nodes.map((node) => `${one.id}: ${node.target}: ${node.html.slice(0, 160)} ${node.failureSummary}`))
), (error) => done([String(error)]));
"""
DIALOGS = {"job": ("#cancel", "#again", "#copy"), "jobs": ("#cancel-all",), "queues": ("#queue-table tbody button",)}


async def look(screen: Browser, name: str) -> list[str]:
    """What stands in somebody's way on the page as it is."""
    await screen.run(AXE.read_text())
    # A change of colours that is still under way has neither's contrast.
    await screen.run("document.getAnimations().forEach((one) => one.finish())")
    found: list[Any] = await screen.call("POST", "/execute/async", {"script": SERIOUS, "args": []})
    return [f"{name}: {one}" for one in found]


async def running_job(api: httpx.AsyncClient, queue: str) -> str:
    """A job in the middle of its work, with files in each state."""
    keys = ("a", "b", "c", "d", "e")
    job = await create(api, queue, items=[{"key": key} for key in keys], labels={"team": "search"}, payload={"a": 1})
    token = await claim(api, queue)
    states = ("completed", "failed", "skipped", "processing")
    rows = [{"key": key, "status": state} for key, state in zip(keys, states, strict=False)]
    rows[1] |= {"error_code": "bad_csv", "message": "row 7 has no end"}
    logs = [{"level": level, "message": f"a {level}"} for level in ("debug", "info", "warning", "error")]
    await call(api, job, "report", token, stage="reading", items=rows, logs=logs)
    return job


@pytest.mark.parametrize("colours", ["light", pytest.param("dark", marks=pytest.mark.long)])
async def test_nothing_serious_stands_in_the_way(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient, queue: str, colours: str
) -> None:
    job, failed = await running_job(api, queue), await failed_job(api, f"{queue}-2")
    await create(api, f"{queue}-3")
    assert (await api.post(f"/v1/queues/{queue}-3/pause", json={"reason": "a test"})).status_code == 200
    await screen.dark(colours)
    found: list[str] = []
    for path in ("/", "/sign-in"):
        await screen.open(f"{service.url}{path}")
        found += await look(screen, path)
    await open_link(screen, service, api)
    pages = {
        "now": "/",
        "worker": "/ui/first-worker",
        "job": f"/ui/jobs/{job}",
        "failed": f"/ui/jobs/{failed}",
        "none": "/ui/jobs/01890a5d-ac96-774b-bcce-b302099a8057",
        "jobs": f"/ui/jobs?filter=queue:{queue}",
        "queues": "/ui/queues",
        "queue": f"/ui/queues?queue={queue}-3",
        "keys": "/ui/keys",
        "system": "/ui/system",
    }
    for name, path in pages.items():
        await screen.open(f"{service.url}{path}")
        await screen.element("h1")
        await screen.until("return document.querySelectorAll('.htmx-request').length === 0")
        await screen.run("for (const one of document.querySelectorAll('details')) one.open = true")
        found += await look(screen, name)
        for opener in DIALOGS.get(name, ()):
            await screen.click(opener)
            await screen.until("return document.querySelector('dialog[open] h2')")
            found += await look(screen, f"{name} {opener}")
            await screen.run("document.querySelector('dialog[open]').close()")
    assert found == []
