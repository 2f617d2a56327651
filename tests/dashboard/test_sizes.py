"""What a page weighs when it is full: at first with everything that it asks for, and later."""

import gzip
import re
from urllib.parse import urlsplit

import httpx

from tests.dashboard.jobs import call, claim, create
from tests.dashboard.lone_projects import own_project
from tests.service_process import ServiceProcess

FIRST = 150_000
LATER = 30_000
FURTHER_FILES = 6
PAGES = ("/", "/ui/first-worker", "/ui/jobs", "/ui/jobs/{job}", "/ui/queues", "/ui/keys", "/ui/system", "/sign-in")


async def weight(browser: httpx.AsyncClient, path: str) -> tuple[int, str]:
    """The bytes of an answer as a proxy that compresses sends them, and its text."""
    answer = await browser.get(path)
    assert answer.status_code == 200, path
    return len(gzip.compress(answer.content)), answer.text


def files_of(page: str) -> list[str]:
    """What a browser fetches for a page."""
    sources = re.findall(r'<(?:script|img)[^>]* src="([^"]+)"', page)
    return sources + re.findall(r'<link[^>]* href="([^"]+)"', page)


async def full_job(api: httpx.AsyncClient, queue: str) -> str:
    """A job with a page of files that failed, each in words of its own."""
    job = await create(api, queue, payload={"folder": "/data/in"}, labels={"team": "search"})
    token = await claim(api, queue)
    rows = [
        {
            "key": f"reports/2026/{number:04}.pdf",
            "status": "failed",
            "error_code": f"code_{number % 20}",
            "message": f"page {number * 7919 % 1000} of {number * 104729 % 1000}: the table has no header",
        }
        for number in range(1_000)
    ]
    await call(api, job, "report", token, stage="reading", items=rows)
    return job


async def test_a_full_page_is_small_at_first_and_later(service: ServiceProcess, queue: str) -> None:
    async with own_project(service) as (api, browser):
        job = await full_job(api, f"{queue}-full")
        rows = [{"type": "index", "queue": f"{queue}-{number}", "labels": {"n": str(number)}} for number in range(200)]
        assert (await api.post("/v1/jobs/batch", json={"jobs": rows})).status_code == 200
        for path in PAGES:
            later, text = await weight(browser, path.format(job=job))
            files = files_of(text)
            assert 0 < len(files) <= FURTHER_FILES
            assert all(not urlsplit(name).netloc and name.startswith("/static/") for name in files), files
            first = later + sum([(await weight(browser, name))[0] for name in files])
            assert first <= FIRST, path
            assert later <= LATER, path
