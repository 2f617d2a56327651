"""The workers of docs/worker-protocol.md, taken from the page as they stand and run against a live service."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.web.problems import TITLES
from tests.conftest import StartService
from tests.node import NEEDED, find_node
from tests.page_server import PAGE, Pages, serve_pages
from tests.service_process import ROOT, ServiceProcess

TEXT = (ROOT / "docs" / "worker-protocol.md").read_text()
LEASE_SECONDS = 3
DEADLINE_SECONDS = 60.0


@pytest.fixture(params=["bash", "typescript"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The command that runs the page's worker."""
    (source,) = re.findall(rf"^```{request.param}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    # Where Node.js would warn of a file that does not say what kind of module it is.
    (tmp_path / "package.json").write_text("{}")
    (name,) = re.findall("`bash (.*?)`" if request.param == "bash" else "`node (.*?)`", TEXT)
    path = tmp_path / name
    path.write_text(source)
    if request.param == "bash":
        return ["bash", str(path)]
    node = find_node()
    if node is None:
        pytest.skip(
            f"no Node.js {NEEDED[0]}.{NEEDED[1]} or newer here, which runs TypeScript (`make test` installs one)"
        )
    return [node, str(path)]


@pytest.fixture
def pages() -> Iterator[Pages]:
    with serve_pages() as served:
        yield served


class Running:
    """A worker in a process of its own, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process, job_type: str) -> None:
        self.process = process
        self.type = job_type
        self.lines: list[str] = []

    async def says(self, line: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            while line not in self.lines:
                read = await self.process.stdout.readline()
                assert read, self.lines
                self.lines.append(read.decode().rstrip("\n"))

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running(program: list[str], service: ServiceProcess) -> AsyncIterator[Running]:
    job_type = f"count-{uuid.uuid4()}"
    settings = {
        "JOBTRACK_URL": service.url,
        "JOBTRACK_API_KEY": service.api_key,
        "JOB_TYPE": job_type,
        "LEASE_SECONDS": str(LEASE_SECONDS),
        # With our Python in front: the machine's may be a slow one of a version manager.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    process = await asyncio.create_subprocess_exec(
        *program, env={**os.environ, **settings}, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Running(process, job_type)
    finally:
        # With what a shell has started, which holds its output open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def create(api: httpx.AsyncClient, worker: Running, urls: list[str], **fields: Any) -> str:
    answer = await api.post("/v1/jobs", json={"type": worker.type, "payload": {"urls": urls}, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def read(api: httpx.AsyncClient, job: str, **query: Any) -> dict[str, Any]:
    answer = await api.get(f"/v1/jobs/{job}", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def until_requested(pages: Pages) -> None:
    assert await asyncio.to_thread(pages.requested.wait, DEADLINE_SECONDS)


async def test_worker_completes_job_after_job(
    program: list[str], pages: Pages, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    async with running(program, service) as worker:
        for urls, status in (
            ([pages["ready"], pages["missing"]], "completed_with_failures"),
            ([pages["ready"]] * 2, "completed"),
        ):
            job = await create(api, worker, urls)
            ended = await read(api, job, wait=30)
            await worker.says(f"{status} {job}")
            fetched = [url for url in urls if url != pages["missing"]]
            assert (ended["status"], ended["stage"]) == (status, "fetching")
            assert ended["result"] == {"bytes": len(PAGE) * len(fetched)}
            items = (await api.get(f"/v1/jobs/{job}/items")).json()["items"]
            assert {item["key"]: (item["status"], item["error_code"]) for item in items} == {
                url: ("completed", None) if url in fetched else ("failed", "not_fetched") for url in urls
            }
        assert await worker.stop() == 0
        assert {line.partition(" ")[0] for line in worker.lines} == {"started", "completed", "completed_with_failures"}


async def test_rerun_of_failed_items_is_of_these_alone(
    program: list[str], pages: Pages, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    async with running(program, service) as worker:
        job = await create(api, worker, [pages["ready"], pages["missing"]])
        assert (await read(api, job, wait=30))["status"] == "completed_with_failures"
        rerun = (await api.post(f"/v1/jobs/{job}/rerun", json={"only_failed_items": True})).json()["id"]
        ended = await read(api, rerun, wait=30)
        assert (ended["status"], ended["result"]) == ("completed_with_failures", {"bytes": 0})
        (item,) = (await api.get(f"/v1/jobs/{rerun}/items")).json()["items"]
        assert (item["key"], item["error_code"]) == (pages["missing"], "not_fetched")
        assert "404" in item["error_message"]


async def test_job_that_cannot_be_done_fails_with_what_the_work_said(
    program: list[str], service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    async with running(program, service) as worker:
        answer = await api.post("/v1/jobs", json={"type": worker.type, "payload": {"no": "urls"}, "max_attempts": 1})
        ended = await read(api, answer.json()["id"], wait=30)
        assert (ended["status"], ended["result"]) == ("failed", None)
        assert re.search("KeyError: 'urls'|not iterable", ended["error"]["message"])
        await worker.says(f"failed {ended['id']}")


async def test_heartbeats_keep_the_lease_while_the_work_is_silent(
    program: list[str], pages: Pages, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    async with running(program, service) as worker:
        job = await create(api, worker, [pages["held"]])
        await until_requested(pages)
        held_until = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS + 1)
        seen = []
        while datetime.now(UTC) < held_until:
            found = await read(api, job, wait=1)
            seen.append((found["status"], found["attempt"]))
        # `dispatched` until the first report, which was none of an item.
        assert set(seen) <= {("dispatched", 1), ("running", 1)}
        assert seen[-1] == ("running", 1)
        pages.release.set()
        ended = await read(api, job, wait=30)
        assert (ended["status"], ended["attempt"], ended["result"]) == ("completed", 1, {"bytes": len(PAGE)})


async def test_cancel_stops_the_work_and_is_acknowledged(
    program: list[str], pages: Pages, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    async with running(program, service) as worker:
        job = await create(api, worker, [pages["held"], pages["ready"]])
        await until_requested(pages)
        assert (await api.post(f"/v1/jobs/{job}/cancel")).status_code == 202
        ended = await read(api, job, wait=30)
        await worker.says(f"cancelled {job}")
        assert (ended["status"], ended["result"]) == ("cancelled", None)
        assert not pages.release.is_set(), "the work was stopped, and did not end by itself"


async def test_worker_that_is_told_to_stop_gives_its_job_back(
    program: list[str], pages: Pages, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    async with running(program, service) as worker:
        job = await create(api, worker, [pages["held"]])
        await until_requested(pages)
        assert await worker.stop() == 0
        assert (await read(api, job))["status"] == "pending"
        events = (await api.get(f"/v1/jobs/{job}/events")).json()["events"]
        assert events[-1]["type"] == "job.released"
        await worker.says(f"pending {job}")


async def test_worker_drops_a_job_that_has_ended_without_it(
    program: list[str], pages: Pages, service: ServiceProcess, api: httpx.AsyncClient
) -> None:
    async with running(program, service) as worker:
        deadline = datetime.now(UTC) + timedelta(seconds=2)
        job = await create(api, worker, [pages["held"]], expires_at=deadline.isoformat())
        await worker.says(f"lost {job}")
        assert (await read(api, job))["status"] == "expired"
        # And takes the next.
        assert (await read(api, await create(api, worker, [pages["ready"]]), wait=30))["status"] == "completed"


@pytest.mark.slow
async def test_result_outlives_an_absence_of_the_service(
    program: list[str], pages: Pages, start_service: StartService
) -> None:
    service = await start_service()
    async with running(program, service) as worker:
        async with service.client() as api:
            job = await create(api, worker, [pages["held"]])
        await until_requested(pages)
        assert service.stop() == 0
        pages.release.set()
        service.start()
        await service.ready()
        async with service.client() as api:
            ended = await read(api, job, wait=30)
            assert (ended["status"], ended["attempt"], ended["result"]) == ("completed", 1, {"bytes": len(PAGE)})
            await worker.says(f"completed {job}")
            assert (await read(api, await create(api, worker, [pages["ready"]]), wait=30))["status"] == "completed"


async def test_wrong_key_ends_the_worker(program: list[str], service: ServiceProcess) -> None:
    wrong = ServiceProcess.__new__(ServiceProcess)
    wrong.url, wrong.api_key = service.url, "jt_wrong"
    async with running(program, wrong) as worker:
        async with asyncio.timeout(DEADLINE_SECONDS):
            said, _ = await worker.process.communicate()
        assert worker.process.returncode == 1
        assert b"unauthorized" in said


def test_there_are_twelve_rules_and_they_name_codes_that_exist() -> None:
    rules = TEXT.partition("## The rules")[2].partition("## In bash")[0]
    assert re.findall(r"^(\d+)\. \*\*", rules, re.MULTILINE) == [str(number) for number in range(1, 13)]
    codes = re.findall(r"^   \| `(\w+)` \|", rules, re.MULTILINE)
    assert codes[0] == "code"
    assert len(codes[1:]) == 4
    assert set(codes[1:]) <= set(TITLES)
