"""With no job yet the start page is a worker to paste, a key for it, and the word that it has connected."""

import asyncio
import html
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.dashboard.now import texts
from tests.conftest import StartService
from tests.dashboard.conftest import sign_in, visitor
from tests.dashboard.lone_projects import own_project
from tests.service_process import ServiceProcess

HOSTS_BYTES = Path("/etc/hosts").stat().st_size
KEY = re.compile(r"jt_[A-Za-z0-9]+_[A-Za-z0-9_-]{20,}")


class Newcomer:
    """A project without a job, and a browser that is signed in."""

    def __init__(self, service: ServiceProcess, api: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
        self.service, self.api, self.browser = service, api, browser

    async def text(self, name: str, path: str = "/") -> str:
        """One of the texts to paste."""
        return text_of(name, (await self.browser.get(path)).text)

    async def make_key(self, browser: httpx.AsyncClient | None = None) -> httpx.Response:
        return await (browser or self.browser).post("/ui/first-worker/key", headers={"HX-Request": "true"})

    async def connection_with(self, *parts: str) -> str:
        """The part of the page that turns live, once it says all of these."""
        ends_at = time.monotonic() + 20
        page = ""
        while any(part not in page for part in parts):
            assert time.monotonic() < ends_at, page
            await asyncio.sleep(0.1)
            page = words((await self.browser.get("/ui/first-worker/live")).text)
        return page


def words(page: str) -> str:
    """A page's text, as one line."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def text_of(name: str, page: str) -> str:
    """A text to paste, as the page's copy button takes it."""
    found = re.search(rf'<code id="text-{name}">(.*?)</code>', page, re.DOTALL)
    assert found, page
    return html.unescape(found[1])


@pytest_asyncio.fixture
async def newcomer(service: ServiceProcess) -> AsyncIterator[Newcomer]:
    async with own_project(service) as (api, browser):
        yield Newcomer(service, api, browser)


async def test_texts_name_the_readers_own_address(newcomer: Newcomer) -> None:
    assert (
        await newcomer.text("exports") == f"export JOBTRACK_URL={newcomer.service.url}\nexport JOBTRACK_API_KEY=jt_..."
    )
    python = await newcomer.text("python")
    assert 'pip install "$(curl -sSf "$JOBTRACK_URL/client/")"' in python
    assert "Worker(types=nightly).run_until_signal()" in python
    for name in ("python", "typescript", "bash", "create"):
        assert KEY.search(await newcomer.text(name)) is None
    page = (await newcomer.browser.get("/")).text
    assert page.count('<details name="first-worker"') == 3, "they open and close without script"


async def test_the_public_address_goes_before_what_the_browser_says(start_service: StartService) -> None:
    service = await start_service(JOBTRACK_PUBLIC_URL="https://jobs.example.com")
    headers = {"Origin": "https://jobs.example.com"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers) as browser:
        begun = await browser.post("/sign-in", data={"key": service.api_key})
        # The cookie is Secure: the client would not send it over http by itself.
        cookie = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
        page = (await browser.get("/", headers=cookie)).text
        wheel = (await browser.get("/client/")).text
    assert text_of("exports", page).startswith("export JOBTRACK_URL=https://jobs.example.com\n")
    assert wheel.startswith("https://jobs.example.com/client/jobtrack_client-")


@pytest.mark.parametrize("host", ["x$(id)", "a';id;'", 'a"><script>alert(1)</script>'])
def test_an_address_is_one_word_of_the_shell(host: str) -> None:
    script = f'{texts.exports(f"http://{host}")}\nprintf %s "$JOBTRACK_URL"'
    assert subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout == f"http://{host}"


async def test_a_key_is_made_for_it_and_shown_once(newcomer: Newcomer) -> None:
    made = await newcomer.make_key()
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    (key,) = KEY.findall(made.text)
    assert text_of("exports", made.text) == f"export JOBTRACK_URL={newcomer.service.url}\nexport JOBTRACK_API_KEY={key}"
    stored = next(one for one in (await newcomer.api.get("/v1/keys")).json()["keys"] if one["id"] == key.split("_")[1])
    assert (stored["name"], sorted(stored["scopes"])) == ("first worker", ["submit", "work"])
    ends_in = datetime.fromisoformat(stored["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < ends_in <= timedelta(days=30)
    assert key not in (await newcomer.browser.get("/")).text


async def test_only_a_key_that_manages_keys_is_offered_one(newcomer: Newcomer) -> None:
    new = {"name": "reader", "scopes": ["read", "submit", "work"]}
    key = (await newcomer.api.post("/v1/keys", json=new)).json()["key"]
    async with visitor(newcomer.service) as browser:
        await sign_in(browser, key)
        page = await browser.get("/")
        assert 'id="make-key"' not in page.text
        assert "Yours cannot make one." in page.text
        assert (await newcomer.make_key(browser)).status_code == 403
    assert 'id="make-key"' in (await newcomer.browser.get("/")).text


async def test_a_key_of_some_queues_makes_one_of_the_same(newcomer: Newcomer) -> None:
    new = {"name": "docs", "scopes": ["admin"], "queues": ["docs"], "expires_at": "2100-01-01T00:00:00Z"}
    key = (await newcomer.api.post("/v1/keys", json=new)).json()["key"]
    async with visitor(newcomer.service) as browser:
        await sign_in(browser, key)
        made = await newcomer.make_key(browser)
    assert "in your key's queues" in html.unescape(made.text)
    newest = (await newcomer.api.get("/v1/keys")).json()["keys"][0]
    assert (newest["name"], newest["queues"]) == ("first worker", ["docs"])


async def test_making_a_key_wants_the_token_of_the_page(newcomer: Newcomer) -> None:
    newcomer.browser.headers.pop("X-Jobtrack-Form")
    assert (await newcomer.make_key()).status_code == 403
    assert len((await newcomer.api.get("/v1/keys")).json()["keys"]) == 1


async def test_the_page_turns_live_when_the_pasted_worker_connects(newcomer: Newcomer, tmp_path: Path) -> None:
    assert "No worker has asked in the last minute." in words((await newcomer.browser.get("/")).text)
    exports = text_of("exports", (await newcomer.make_key()).text)
    shell = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    script = f"{exports}\n{await newcomer.text('bash')}"
    create = f"{exports}\n{await newcomer.text('create')}"
    worker = await asyncio.create_subprocess_exec("bash", "-c", script, env=shell, start_new_session=True)
    try:
        await newcomer.connection_with("asks for nightly.")
        await asyncio.to_thread(subprocess.run, ["bash", "-c", create], env=shell, capture_output=True, check=True)
        page = await newcomer.connection_with("Your newest job has ended: completed with failures.")
        assert "nightly" in page
        payloads: tuple[dict[str, str] | None, ...] = ({}, None)
        for payload in payloads:
            created = (await newcomer.api.post("/v1/jobs", json={"type": "nightly", "payload": payload})).json()
            empty = (await newcomer.api.get(f"/v1/jobs/{created['id']}", params={"wait": 20})).json()
            assert empty["result"] == {"bytes": 0}
    finally:
        os.killpg(worker.pid, 9)
        await worker.wait()
    newest, _, job = (await newcomer.api.get("/v1/jobs", params={"include": "result"})).json()["jobs"]
    assert job["result"] == {"bytes": HOSTS_BYTES}
    assert f'href="/ui/jobs/{newest["id"]}"' in (await newcomer.browser.get("/ui/first-worker/live")).text


async def test_the_texts_stay_when_there_are_jobs(newcomer: Newcomer) -> None:
    await newcomer.api.post("/v1/jobs", json={"type": "nightly"})
    page = await newcomer.browser.get("/")
    assert "first-python" not in page.text
    assert 'href="/ui/first-worker"' in page.text
    assert "run_until_signal" in await newcomer.text("python", "/ui/first-worker")
