"""Ten thousand files and a hundred thousand jobs, turned page by page in a real browser.

Skipped where there is no Chromium (tests/browser.py).
"""

import httpx
import pytest

from tests.browser import CHROMEDRIVER, CHROMIUM, MISSING, Browser
from tests.conftest import StartService
from tests.dashboard.conftest import open_link
from tests.dashboard.jobs import call, claim, create
from tests.service_process import ServiceProcess

pytestmark = [pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason=MISSING), pytest.mark.slow]

A_CALL = 1_000
JOBS = 100_000
PAGE_LOADED = "return document.readyState === 'complete' && !location.href.endsWith(arguments[0])"
SHOWN = "return [...document.querySelectorAll('#rows tr')].map(row => row.id)"


async def test_a_page_of_ten_thousand_files_is_turned(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    job = await create(api, queue)
    token = await claim(api, queue)
    for start in range(0, 10_000, 1_000):
        rows = [{"key": f"{number:05}.csv", "status": "completed"} for number in range(start, start + 1_000)]
        await call(api, job, "report", token, items=rows)
    await open_link(screen, service, api)
    await screen.open(f"{service.url}/ui/jobs/{job}")
    await screen.shows("#files", "00000.csv")
    shown = await screen.count("#files tbody tr")
    await screen.click("#files-next")
    await screen.shows("#files", f"{shown:05}.csv")
    await screen.click("#files-next")
    await screen.shows("#files", f"{2 * shown:05}.csv")
    await screen.call("POST", "/back", {})
    await screen.shows("#files", f"{shown:05}.csv")
    await screen.call("POST", "/refresh", {})
    await screen.shows("#files", f"{shown:05}.csv")
    assert await screen.complaints() == []


async def turn(screen: Browser, link: str) -> None:
    """Follow a link to another page of the list."""
    before = await screen.path()
    await screen.click(link)
    await screen.until(PAGE_LOADED, before)


@pytest.mark.long
async def test_a_hundred_thousand_jobs_are_paged_and_searched(screen: Browser, start_service: StartService) -> None:
    service = await start_service()
    async with service.client() as api:
        oldest = await create(api, "many", labels={"is": "oldest"})
        rows = [{"type": "index", "queue": "many"}] * A_CALL
        for _ in range(JOBS // A_CALL):
            assert (await api.post("/v1/jobs/batch", json={"jobs": rows})).status_code == 200
        await open_link(screen, service, api)

    await screen.open(f"{service.url}/ui/jobs")
    pages = [await screen.run(SHOWN)]
    for _ in range(5):
        await turn(screen, "#older")
        pages.append(await screen.run(SHOWN))
    ids = [row for page in pages for row in page]
    # Ids are in the order of their creation.
    assert ids == sorted(set(ids), reverse=True), "each job once, newest first"
    assert len({len(page) for page in pages}) == 1
    await turn(screen, "#newest")
    assert await screen.run(SHOWN) == pages[0]

    # A search says how far it has come, and goes on from there.
    await screen.open(f"{service.url}/ui/jobs?filter=label:is%3Doldest")
    turned = 0
    while not await screen.run(SHOWN):
        assert await screen.text("#empty") == "None of the jobs that were looked at matches."
        await screen.shows("nav[aria-label='Pages of the list']", "Searched so far: the jobs created since")
        await turn(screen, "#older")
        turned += 1
        assert turned <= JOBS // A_CALL
    assert await screen.run(SHOWN) == [f"job-{oldest}"]
    assert await screen.complaints() == []
    service.stop()
