"""Swagger UI in a real browser: Authorize, then Execute alone, on pages of every width and colour.

A page of sixty operations takes the browser seconds for each Execute, so most of these are among the long tests.
Skipped where there is no Chromium (tests/browser.py).
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from app.api.examples import JOB_ID, TOKEN
from tests.api.operations import DOCUMENTS
from tests.browser import CHROMEDRIVER, CHROMIUM, MISSING, Browser, open_browser
from tests.conftest import StartService
from tests.service_process import ServiceProcess

pytestmark = [pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason=MISSING), pytest.mark.slow]


@pytest_asyncio.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with open_browser(tmp_path / "profile") as opened:
        yield opened


async def authorize(browser: Browser, service: ServiceProcess, api: str = "native") -> None:
    """Open an API and bring the key, which is all that is ever written here."""
    await browser.open(f"{service.url}/docs?api={api}")
    await browser.click(".btn.authorize")
    await browser.write(".modal-ux input[type=text], .modal-ux input[type=password]", service.api_key)
    await browser.click(".modal-ux .btn.authorize")
    await browser.click(".modal-ux .btn-done")


async def expand(browser: Browser, operation: str) -> str:
    """Open an operation, unless it is open, and return its selector."""
    place = f"#operations-{operation}"
    if not await browser.count(f"{place} .opblock-body"):
        await browser.click(f"{place} .opblock-summary-control")
    return place


async def execute(browser: Browser, operation: str) -> Any:
    """Press Execute, and return the answer that the page shows."""
    place = await expand(browser, operation)
    await browser.click(f"{place} .execute")
    return json.loads(await browser.text(f"{place} .live-responses-table .highlight-code code"))


async def parameter(browser: Browser, operation: str, name: str = "job_id") -> str:
    """Read what is written in a parameter."""
    return await browser.value(f"{await expand(browser, operation)} tr[data-param-name={name}] input")


async def body(browser: Browser, operation: str) -> Any:
    """Read what is written as a body."""
    return json.loads(await browser.value(f"{await expand(browser, operation)} textarea.body-param__text"))


async def test_create_wait_and_read_by_execute_alone(
    browser: Browser, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    await authorize(browser, service)
    # One that is open already, and others that are opened later.
    assert await parameter(browser, "Jobs-jobs_get") == JOB_ID
    made = await execute(browser, "Jobs-jobs_create")
    assert made["status"] == "pending"
    assert (await api.post(f"/v1/jobs/{made['id']}/cancel")).status_code == 200
    waited = await execute(browser, "Jobs-jobs_wait")
    assert (waited["ended_by"], [job["id"] for job in waited["jobs"]]) == ("condition", [made["id"]])
    read = await execute(browser, "Jobs-jobs_get")
    assert (read["id"], read["status"]) == (made["id"], "cancelled")

    hosts = set()
    for entry in await browser.log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = urlsplit(message["params"]["request"]["url"])
            if url.scheme.startswith("http"):
                hosts.add(url.netloc)
    assert hosts == {urlsplit(service.url).netloc}
    assert await browser.complaints() == []


@pytest.mark.long
async def test_claimed_job_is_reported_and_completed_by_execute_alone(
    browser: Browser, start_service: StartService
) -> None:
    service = await start_service()
    await authorize(browser, service)
    assert (await body(browser, "Workers-jobs_report"))["token"] == TOKEN
    made = await execute(browser, "Jobs-jobs_create")
    claimed = await execute(browser, "Workers-claims_create")
    (job,) = claimed["jobs"]
    token = job["lease"]["token"]
    assert job["id"] == made["id"]

    for operation in ("jobs_report", "jobs_complete", "jobs_fail", "jobs_release"):
        assert (await body(browser, f"Workers-{operation}"))["token"] == token
        assert await parameter(browser, f"Workers-{operation}") == job["id"]
    (row,) = (await body(browser, "Workers-reports_create"))["reports"]
    assert (row["job_id"], row["token"]) == (job["id"], token)
    assert (await execute(browser, "Workers-jobs_report"))["status"] == "running"
    assert (await execute(browser, "Workers-jobs_complete"))["status"] == "completed"
    assert await browser.complaints() == []


@pytest.mark.long
async def test_what_somebody_has_written_stays(browser: Browser, service: ServiceProcess) -> None:
    await authorize(browser, service)
    place = await expand(browser, "Jobs-jobs_get")
    await browser.write(f"{place} tr[data-param-name=job_id] input", "mine")
    made = await execute(browser, "Jobs-jobs_create")
    assert await parameter(browser, "Jobs-jobs_get") == "mine"
    # The next one takes the place of the first, and of nothing else.
    again = await execute(browser, "Jobs-jobs_rerun")
    assert again["code"] == "invalid_transition"
    assert await parameter(browser, "Jobs-jobs_cancel") == made["id"]


@pytest.mark.long
async def test_no_read_puts_a_job_of_others_where_execute_could_delete_it(
    browser: Browser, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    newest = (await api.post("/v1/jobs", json={"type": "work"})).json()["id"]
    await authorize(browser, service)
    assert (await execute(browser, "Jobs-jobs_list"))["jobs"][0]["id"] == newest
    place = await expand(browser, "Jobs-jobs_wait")
    await browser.write(f"{place} textarea.body-param__text", json.dumps({"ids": [newest]}))
    assert (await execute(browser, "Jobs-jobs_wait"))["jobs"][0]["id"] == newest
    assert await parameter(browser, "Jobs-jobs_delete") == JOB_ID


@pytest.mark.long
async def test_new_key_stands_where_keys_are_ended(browser: Browser, service: ServiceProcess) -> None:
    await authorize(browser, service)
    made = await execute(browser, "Keys-keys_create")
    assert await parameter(browser, "Keys-keys_revoke", "key_id") == made["id"]


@pytest.mark.long
async def test_job_of_a_dialect_is_created_and_read_by_execute_alone(browser: Browser, service: ServiceProcess) -> None:
    await authorize(browser, service, "captain")
    made = await execute(browser, "Indexing-captain_index_url")
    read = await execute(browser, "Jobs-captain_jobs_get_status")
    assert (read["job_id"], read["status"]) == (made["job_id"], "pending")
    assert await browser.complaints() == []


@pytest.mark.long
async def test_stream_says_curl_and_has_no_execute(browser: Browser, service: ServiceProcess) -> None:
    await authorize(browser, service)
    for operation in ("History-events_stream", "History-jobs_stream"):
        place = await expand(browser, operation)
        assert "curl -N" in await browser.text(f"{place} .opblock-description")
        assert await browser.count(f"{place} .execute") == 0


async def test_authorize_says_where_the_key_is(browser: Browser, service: ServiceProcess) -> None:
    await browser.open(f"{service.url}/docs")
    await browser.click(".btn.authorize")
    shown = await browser.text(".modal-ux")
    for text in ("The key alone", "jt_...", "make run"):
        assert text in shown


async def background(browser: Browser, selector: str) -> int:
    """How light the ground of an element is, from 0 to 765."""
    script = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    text = str(await browser.run(script, selector))
    assert text.startswith("rgb("), text
    return sum(int(part) for part in text[4:-1].split(","))


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
async def test_page_is_as_dark_as_the_system(browser: Browser, service: ServiceProcess, is_dark: bool) -> None:
    if is_dark:
        await browser.dark()
    await browser.open(f"{service.url}/docs")
    await browser.element("#operations-Jobs-jobs_create")
    assert (await background(browser, "body") < 300) is is_dark
    assert await browser.complaints() == []


@pytest.mark.parametrize("path", ["/", pytest.param("/docs", marks=pytest.mark.long), "/docs/problems"])
async def test_no_page_is_wider_than_a_telephone(browser: Browser, service: ServiceProcess, path: str) -> None:
    await browser.narrow(375)
    if path == "/docs":
        await authorize(browser, service)
        await execute(browser, "Jobs-jobs_create")
        for operation in ("Jobs-jobs_list", "Jobs-jobs_put_input", "Workers-reports_create", "History-jobs_stream"):
            await expand(browser, operation)
    else:
        await browser.open(f"{service.url}{path}")
    assert await browser.run("return document.documentElement.scrollWidth") == 375


@pytest.mark.parametrize(
    "name", [name if name == "native" else pytest.param(name, marks=pytest.mark.long) for name in sorted(DOCUMENTS)]
)
async def test_every_api_is_drawn_without_a_complaint(browser: Browser, service: ServiceProcess, name: str) -> None:
    await browser.open(f"{service.url}/docs?api={name}")
    await browser.element(".opblock")
    operations = sum(len(path) for path in DOCUMENTS[name]["paths"].values())
    assert await browser.count(".opblock") == operations
    assert await browser.complaints() == []


async def test_the_key_is_kept_by_the_page_alone(browser: Browser, service: ServiceProcess) -> None:
    async def stored() -> str:
        return str(
            await browser.run("return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        )

    await authorize(browser, service)
    await browser.element(".btn.authorize.locked")
    assert service.api_key not in await stored()
    # Another API of the same page is asked with the same key.
    await browser.click("#api option[value=captain]")
    await browser.element("#operations-Indexing-captain_index_azure")
    await browser.element(".btn.authorize.locked")
    assert service.api_key not in await stored()
    # What an earlier version has stored goes with the next visit, and whoever comes then has to bring a key.
    await browser.run(f'localStorage.setItem("authorized", "{service.api_key}")')
    await browser.call("POST", "/refresh", {})
    await browser.element(".btn.authorize.unlocked")
    assert service.api_key not in await stored()
