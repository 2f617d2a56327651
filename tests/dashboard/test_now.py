"""The start page: what needs a hand before anything else, and who may see it."""

import asyncio
import html
import re
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from asyncpg import connect

from app.db.opening import asyncpg_dsn
from tests.dashboard.conftest import visitor
from tests.dashboard.lone_projects import own_project
from tests.service_process import ServiceProcess

HOSTILE = "<script>alert(1)</script>'\"&"


class Site:
    """A project of the test's own, its API and a browser that is signed in."""

    def __init__(self, service: ServiceProcess, api: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
        self.service, self.api, self.browser = service, api, browser

    async def now(self) -> str:
        """What a reader reads of the start page."""
        answer = await self.browser.get("/")
        assert answer.status_code == 200, answer.text
        return words(answer.text)

    async def now_with(self, *texts: str) -> str:
        """The page, once it says all of these: depths and workers are some seconds old."""
        ends_at = time.monotonic() + 10
        page = await self.now()
        while any(text not in page for text in texts):
            assert time.monotonic() < ends_at, page
            await asyncio.sleep(0.1)
            page = await self.now()
        return page

    async def create(self, **fields: object) -> str:
        made = await self.api.post("/v1/jobs", json={"type": "nightly", **fields})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def claim(self, **fields: object) -> dict[str, str]:
        """A job's id and its token."""
        answer = await self.api.post("/v1/claims", json={"worker": "vm:1", "lease_seconds": 3600, "wait": 20, **fields})
        (job,) = answer.json()["jobs"]
        return {"id": job["id"], "token": job["lease"]["token"]}

    async def fail(self, message: str, **fields: object) -> str:
        held = await self.claim(**fields)
        end = {"token": held["token"], "code": "s3_down", "message": message, "retryable": False}
        assert (await self.api.post(f"/v1/jobs/{held['id']}/fail", json=end)).status_code == 200
        return held["id"]


def words(page: str) -> str:
    """A page's text, as one line."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


@pytest_asyncio.fixture
async def site(service: ServiceProcess) -> AsyncIterator[Site]:
    async with own_project(service) as (api, browser):
        yield Site(service, api, browser)


async def test_all_is_well_when_nothing_needs_a_hand(site: Site) -> None:
    await site.create()
    held = await site.claim()
    await site.create(scheduled_at="2100-01-01T00:00:00Z")
    page = await site.now_with("All is well.", "Waiting 0", "Scheduled 1", "Running 1", "Workers 1")
    assert "Failed" not in page
    await site.api.post(f"/v1/jobs/{held['id']}/complete", json={"token": held["token"]})
    await site.now_with("All is well.", "Running 0", "Ended in the last minute 1")


async def test_a_queue_that_waits_without_a_worker_comes_first(site: Site) -> None:
    job = await site.create(queue=HOSTILE)
    await site.create(queue=HOSTILE)
    page = await site.now_with("1 queue waits without a worker.", "2 jobs wait")
    assert f"No worker has asked for queue {HOSTILE} and type nightly in the last 24 h." in page
    answer = (await site.browser.get("/")).text
    assert f'href="/ui/jobs/{job}"' in answer
    assert HOSTILE not in answer


async def test_the_oldest_job_speaks_for_its_queue(site: Site) -> None:
    """However many others come after it: what no worker takes is the oldest, sooner or later."""
    stuck = await site.create(type="forgotten")
    await site.api.post("/v1/jobs/batch", json={"jobs": [{"type": "busy"}] * 150})
    await site.claim(types=["busy"])
    await site.now_with("1 queue waits without a worker.", "queue default and type forgotten")
    queue = (await site.api.get("/v1/queues/default")).json()
    assert queue["oldest_waiting_id"] == stuck


async def test_a_paused_queue_waits_by_intent(site: Site) -> None:
    await site.create()
    await site.api.post("/v1/queues/default/pause")
    await site.now_with("All is well.", "Waiting 1")


async def test_a_worker_that_has_gone_silent_is_named(site: Site) -> None:
    job = await site.create()
    await site.claim(lease_seconds=6)
    page = await site.now_with("1 job has a silent worker.", "vm:1 holds the job, and has not reported for")
    assert f"nightly {job[-8:]}" in page


async def test_the_newest_failures_say_why(site: Site) -> None:
    await site.create(type="earliest", max_attempts=1)
    await site.fail("The bucket is gone.")
    await site.create(type=HOSTILE, max_attempts=1)
    await site.fail(f"{HOSTILE}{'long ' * 500}")
    await site.create(type="partly")
    held = await site.claim()
    items = [{"key": "a", "status": "failed", "error_code": "bad"}, {"key": "b", "status": "completed"}]
    await site.api.post(f"/v1/jobs/{held['id']}/report", json={"token": held["token"], "items": items})
    await site.api.post(f"/v1/jobs/{held['id']}/complete", json={"token": held["token"]})
    page = await site.now_with("3 jobs failed in the last 24 hours.")
    assert "s3_down The bucket is gone." in page
    assert "1 of 2 files failed." in page
    assert page.index("partly") < page.index(HOSTILE) < page.index("earliest")
    assert "long " * 60 not in page
    assert HOSTILE not in (await site.browser.get("/")).text


async def test_a_failure_is_news_for_a_day(site: Site) -> None:
    job = await site.create(max_attempts=1)
    await site.fail("away")
    await site.now_with("1 job failed in the last 24 hours.")
    connection = await connect(asyncpg_dsn(site.service.database_url))
    await connection.execute("UPDATE jobs SET completed_at = completed_at - interval '1 day' WHERE id = $1", job)
    await connection.close()
    await site.now_with("All is well.")


async def test_the_part_that_changes_is_answered_by_itself(site: Site) -> None:
    await site.create()
    part = await site.browser.get("/ui/now", headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "<html" not in part.text
    assert 'id="now-sentence"' in part.text
    assert 'hx-get="/ui/now"' in (await site.browser.get("/")).text


@pytest.mark.parametrize("scopes", [["submit"], ["work", "submit"]])
async def test_a_key_that_may_not_read_sees_no_jobs(site: Site, scopes: list[str]) -> None:
    await site.create(queue="secret")
    key = (await site.api.post("/v1/keys", json={"name": f"no {HOSTILE}", "scopes": scopes})).json()["key"]
    async with visitor(site.service) as browser:
        answer = await browser.post("/sign-in", data={"key": key})
        assert answer.status_code == 303
        page = await browser.get("/")
        assert page.status_code == 200
        assert f"You are signed in with the key no {HOSTILE} , which may not read jobs" in words(page.text)
        assert "secret" not in page.text
        assert (await browser.get("/ui/now")).status_code == 403


async def test_who_is_not_signed_in_is_told_what_this_is(browser: httpx.AsyncClient, service: ServiceProcess) -> None:
    answer = await browser.get("/")
    assert answer.status_code == 200
    page = words(answer.text)
    assert "Jobtrack tracks background jobs" in page
    assert "jobtrack open" in page
    assert f"{service.url}/client/jobtrack_client-" in page
    for href in ("/sign-in", "/docs", "/openapi.json", "/docs?api=immuta", "/livez", "/docs/problems"):
        assert f'href="{href}"' in answer.text
    assert "style=" not in answer.text
    assert "<script>" not in answer.text
    assert (await browser.get("/ui/now")).headers["location"] == "/sign-in?next=/ui/now"
