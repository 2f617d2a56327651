"""The pages as people use them, in a real browser: from the printed link to a green rerun, and what stands in the way.

Skipped where there is no Chromium (tests/browser.py).
"""

import httpx
import pytest

from tests.browser import CHROMEDRIVER, CHROMIUM, MISSING, Browser
from tests.conftest import StartService
from tests.dashboard.conftest import open_link
from tests.dashboard.jobs import call, claim, create
from tests.service_process import ServiceProcess
from tests.tcp_proxy import tcp_proxy

pytestmark = [pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason=MISSING), pytest.mark.slow]

FILES = ("a.csv", "b.csv", "c.csv", "d.csv")
PAGES = pytest.mark.parametrize("page", ["job", pytest.param("now", marks=pytest.mark.long)])
DOT = "return getComputedStyle(document.querySelector(arguments[0]), '::before').backgroundColor"
SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""


async def report(api: httpx.AsyncClient, job: str, token: str, key: str, status: str, **fields: object) -> None:
    """Report one file, as a worker does."""
    await call(api, job, "report", token, stage="reading", items=[{"key": key, "status": status, **fields}])


async def test_from_the_link_to_a_green_rerun(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    await open_link(screen, service, api)
    assert await screen.path() == "/"
    assert await screen.run("return location.hash") == "", "the code is taken out of the address"

    job = await create(api, queue, items=[{"key": key} for key in FILES])
    await screen.open(f"{service.url}/ui/jobs/{job}")
    await screen.shows("#why", "Waiting: ")
    await screen.shows("#live", "live")
    await screen.run("window.stays = true")

    # A worker's files, one after another: the numbers change in place.
    token = await claim(api, queue)
    await screen.shows("#job-sentence", "w2 took the job")
    for done, key in enumerate(FILES[:3], start=1):
        await report(api, job, token, key, "completed")
        await screen.shows("#legend-completed", f"{done} completed")
    await report(api, job, token, "d.csv", "failed", error_code="bad_csv", message="row 7 has no end")
    await screen.shows("#legend-failed", "1 failed")
    await call(api, job, "complete", token)
    await screen.shows("#outcome", "Completed with failures")
    assert await screen.run("return window.stays"), "all of that without loading the page again"

    # Its error is read: what stands below has come by itself, for nobody reads there yet.
    for text in ("bad_csv", "row 7 has no end", "d.csv"):
        await screen.shows("#errors", text)

    await screen.click("#rerun-failed")
    await screen.until(
        "return location.pathname.startsWith('/ui/jobs/') && !location.pathname.includes(arguments[0])", job
    )
    rerun = (await screen.path()).rpartition("/")[2]
    await screen.shows("#live", "live")
    await screen.run("window.stays = true")
    assert len((await api.get(f"/v1/jobs/{rerun}/items")).json()["items"]) == 1

    token = await claim(api, queue)
    await report(api, rerun, token, "d.csv", "completed")
    await screen.shows("#legend-completed", "1 completed")
    await call(api, rerun, "complete", token)
    await screen.shows("#outcome", "Completed")
    await screen.element("#job-state.completed")
    colours = [await screen.run(DOT, selector) for selector in ("#job-state", "#legend-completed .state")]
    assert colours == ["rgb(20, 120, 60)"] * 2, "green"
    assert await screen.run("return window.stays")
    assert await screen.complaints() == []


async def test_what_somebody_reads_is_not_replaced_by_the_end_of_the_job(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    await open_link(screen, service, api)
    job = await create(api, queue, items=[{"key": key} for key in FILES])
    token = await claim(api, queue)
    await screen.open(f"{service.url}/ui/jobs/{job}")
    await screen.shows("#live", "live")
    await screen.run("document.querySelector('#files a').focus()")
    await call(api, job, "complete", token)
    await screen.shows("#news", "The job has ended")
    assert await screen.run("return document.activeElement.closest('#files') !== null")
    await screen.click("#news-show")
    await screen.until("return document.querySelector('#news') === null")
    await screen.shows("#attempts", "completed")


async def test_the_link_signs_in_where_the_sign_in_page_is_open_already(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    await screen.open(f"{service.url}/sign-in")
    await open_link(screen, service, api)
    assert await screen.path() == "/"


async def test_nothing_moves_under_the_reader_while_numbers_change(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    await screen.devtools("Page.addScriptToEvaluateOnNewDocument", source=SHIFTS)
    await open_link(screen, service, api)
    keys = [f"{number}.csv" for number in range(12)]
    job = await create(api, queue, items=[{"key": key} for key in keys])
    token = await claim(api, queue)
    await report(api, job, token, keys[0], "completed")
    await screen.open(f"{service.url}/ui/jobs/{job}")
    await screen.shows("#live", "live")
    for done, key in enumerate(keys[1:-1], start=2):
        await report(api, job, token, key, "completed")
        await screen.shows("#legend-completed", f"{done} completed")
    assert await screen.run("return window.shifts") < 0.05


async def test_cancelling_asks_first_and_shows_what_has_become_of_it(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    job = await create(api, queue)
    await open_link(screen, service, api)
    await screen.open(f"{service.url}/ui/jobs/{job}")
    await screen.click("#cancel")
    await screen.click("#cancel-job form button:last-of-type")
    assert (await api.get(f"/v1/jobs/{job}")).json()["status"] == "pending", "kept"
    await screen.click("#cancel")
    await screen.click("#cancel-yes")
    await screen.shows("#outcome", "Cancelled")
    await screen.shows("#notes", "The job is cancelled.")
    assert await screen.run("return document.querySelector('#cancel-job').open") is False
    assert await screen.complaints() == []


async def test_a_filter_stands_in_the_address_of_each_tab(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    other = f"{queue}-other"
    jobs = [await create(api, name) for name in (queue, queue, other)]
    await open_link(screen, service, api)
    await screen.open(f"{service.url}/ui/jobs")
    await screen.write("#filter", f"queue:{queue}")
    await screen.click("#filter-form button.primary")
    await screen.until("return location.search.includes(arguments[0])", queue)
    assert await screen.count("#rows tr") == 2
    first = await screen.path()

    # A second tab at the same address has the same rows, and goes its own way.
    here = await screen.call("GET", "/window")
    there = (await screen.call("POST", "/window/new", {"type": "tab"}))["handle"]
    await screen.call("POST", "/window", {"handle": there})
    await screen.open(f"{service.url}{first}")
    assert await screen.count("#rows tr") == 2
    await screen.write("#filter", f"queue:{other}")
    await screen.click("#filter-form button.primary")
    await screen.element(f"#job-{jobs[2]}")
    await screen.click(f"#job-{jobs[2]} a[data-row]")
    await screen.shows("#why", "Waiting: ")

    await screen.call("POST", "/back", {})
    await screen.element(f"#job-{jobs[2]}")
    await screen.call("POST", "/back", {})
    await screen.element(f"#job-{jobs[0]}")
    assert (await screen.path(), await screen.value("#filter")) == (first, f"queue:{queue}")
    await screen.call("POST", "/forward", {})
    await screen.element(f"#job-{jobs[2]}")
    assert await screen.value("#filter") == f"queue:{other}"

    await screen.call("POST", "/window", {"handle": here})
    assert (await screen.path(), await screen.count("#rows tr")) == (first, 2)
    assert await screen.complaints() == []


@PAGES
async def test_a_page_says_that_the_service_is_away_and_goes_on_when_it_is_back(
    screen: Browser, start_service: StartService, queue: str, page: str
) -> None:
    service = await start_service()
    async with service.client() as api:
        job = await create(api, queue, items=[{"key": key} for key in FILES])
        await open_link(screen, service, api)
    await screen.open(service.url + {"job": f"/ui/jobs/{job}", "now": "/"}[page])
    await screen.shows("#live", "live")
    text = await screen.text("h1")

    service.stop()
    await screen.shows("#banner", "last state")
    assert await screen.text("h1") == text, "the last state stays"
    assert float(await screen.run("return getComputedStyle(document.querySelector('main')).opacity")) < 1
    assert await screen.text("#live") != "live"

    service.start()
    await service.ready()
    await screen.until("return document.querySelector('#banner').hidden && !document.body.matches('.away')")
    await screen.shows("#live", "live")
    if page == "job":
        async with service.client() as api:
            token = await claim(api, queue)
            await report(api, job, token, "a.csv", "completed")
        await screen.shows("#legend-completed", "1 completed")


@PAGES
async def test_a_page_says_that_the_database_is_away(
    screen: Browser, start_service: StartService, database_url: str, queue: str, page: str
) -> None:
    async with tcp_proxy(database_url) as (proxy, url):
        service = await start_service(JOBTRACK_DATABASE_URL=url)
        async with service.client() as api:
            job = await create(api, queue)
            await open_link(screen, service, api)
        await screen.open(service.url + {"job": f"/ui/jobs/{job}", "now": "/"}[page])
        await screen.shows("#live", "live")
        text = await screen.text("h1")
        await proxy.go_away()
        await screen.shows("#banner", "last state")
        assert await screen.text("h1") == text, "the last state stays"
        proxy.away = False
        await screen.until("return document.querySelector('#banner').hidden")
        await screen.shows("#live", "live")
        service.stop()


async def test_the_keys_reach_the_filter_the_rows_and_their_own_list(
    screen: Browser, service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    older, newer = [await create(api, queue) for _ in range(2)]
    await open_link(screen, service, api)
    await screen.open(f"{service.url}/ui/jobs?filter=queue:{queue}")

    async def press(key: str) -> None:
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        await screen.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    focused = "return document.activeElement.closest('tr')?.id"
    for key, row in (("j", newer), ("j", older), ("k", newer)):
        await press(key)
        assert await screen.run(focused) == f"job-{row}"
    await press("?")
    await screen.shows("#keys", "next and previous row")
    await press("\ue00c")
    await press("/")
    assert await screen.run("return document.activeElement.id") == "filter"
    await press("j")
    assert await screen.value("#filter") == f"queue:{queue}j", "a letter, not a key of the page"
