"""What each dialect says, word for word: recorded, compared, and held against the dialect's own OpenAPI document.

To record anew: `JOBTRACK_TEST_RECORD=1 .venv/bin/python -m pytest tests/dialects/test_conversations.py`.
"""

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.dialects import Dialect, discover, openapi
from app.domain.states import JobState
from tests.dialects.jobs_in_states import Maker
from tests.dialects.recordings import Recorder
from tests.service_process import ServiceProcess

COLLECTION = "handbooks"
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
NO_KEY, WRONG_KEY = {"Authorization": ""}, {"Authorization": "Bearer wrong"}
DIALECTS = {dialect.name: dialect for dialect in discover()}

Jobs = dict[str, str]


@pytest_asyncio.fixture
async def tenant(service: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a project of its own, so that lists hold what was made here and nothing else."""
    async with service.client() as admin:
        project = (await admin.post("/v1/projects", json={"name": "recorded"})).json()["id"]
        asked = {"name": "recorder", "scopes": ["read", "submit", "work"], "project_id": project}
        key = (await admin.post("/v1/keys", json=asked)).json()["key"]
    async with httpx.AsyncClient(base_url=service.url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as one:
        yield one


@pytest_asyncio.fixture
async def jobs(service: ServiceProcess, tenant: httpx.AsyncClient) -> Jobs:
    """The ids of one job in each state, and of one of another tenant."""
    made = await Maker(tenant, collection=COLLECTION).all_states()
    async with service.client() as admin:
        foreign = await Maker(admin, collection=COLLECTION).create()
    return {**{state.value: job_id for state, job_id in made.items()}, "foreign": foreign}


async def captain(talk: Recorder, jobs: Jobs) -> None:
    base = "/v2/jobs"
    for state in JobState:
        await talk.ask(f"status: {state}", "GET", f"{base}/{jobs[state]}")
    page = await talk.ask("first file", "GET", f"{base}/{jobs[JobState.COMPLETED]}?files_limit=1")
    cursor = page["files_page"]["next_cursor"]
    await talk.ask("next file", "GET", f"{base}/{jobs[JobState.COMPLETED]}?files_limit=1&files_cursor={cursor}")
    for state in (JobState.CANCELLING, JobState.CANCELLED, JobState.COMPLETED_WITH_FAILURES, JobState.EXPIRED):
        await talk.ask(f"cancel: {state}", "POST", f"{base}/{jobs[state]}/cancel")
    await talk.ask("delete cancels", "DELETE", f"{base}/{jobs[JobState.CANCELLED]}")
    for status in ("processing", "completed_with_errors", "failed", "timed_out", "cancelled"):
        await talk.ask(f"list: {status}", "GET", f"{base}?status={status}&collection={COLLECTION}")
    await talk.ask("list: second page", "GET", f"{base}?limit=2&offset=2")
    url = {"url": "https://example.org/a?signature=secret", "processing_type": "basic"}
    made = await talk.ask("index an address", "POST", "/v2/collections/web/index/url", json=url)
    await talk.ask("what was started", "GET", f"{base}/{made['job_id']}")
    await refusals(talk, jobs, f"{base}/{{}}")
    await talk.ask("too many files", "GET", f"{base}/{UNKNOWN}?files_limit=501")
    await talk.ask("another list's cursor", "GET", f"{base}/{jobs['pending']}?files_cursor=AAAA")
    await talk.ask("unknown word", "GET", f"{base}?status=done")
    await talk.ask("nothing to index", "POST", "/v2/collections/web/index/url", json={})
    await talk.ask("wrong types", "POST", "/v2/collections/web/index/s3", json={"bucket_name": 7, "max_files": "x"})
    await talk.ask("not JSON", "POST", "/v2/collections/web/index/gcs", content=b"{")
    await talk.ask("too long", "POST", "/v2/collections/web/index/text", content=b'"' + b"x" * 2**20 + b'"')
    await talk.ask("compressed", "POST", "/v2/collections/web/index/text", content=b"x", headers=ZIPPED)
    await talk.ask("no form", "POST", "/v2/collections/web/index/file", content=b"x")
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    await talk.ask("torn form", "POST", "/v2/collections/web/index/file", content=b"--b\r\n\r\nx\r\n", headers=form)
    await talk.ask("unknown source", "POST", "/v2/collections/web/index/floppy", json={})
    await talk.ask("unknown method", "PATCH", f"{base}/{UNKNOWN}", json={})


async def docent(talk: Recorder, jobs: Jobs) -> None:
    base = f"/rest/{COLLECTION}/agent_runs"
    await talk.ask("hand-shake", "GET", "/rest/api-keys/test")
    for state in JobState:
        await talk.ask(f"status: {state}", "GET", f"{base}/jobs/{jobs[state]}")
    many = [jobs[JobState.PENDING], UNKNOWN, "job-123", jobs["foreign"], jobs[JobState.FAILED], jobs[JobState.PENDING]]
    await talk.ask("several at once", "POST", f"{base}/jobs/batch_status", json={"job_ids": many})
    await talk.ask("none at once", "POST", f"{base}/jobs/batch_status", json={"job_ids": []})
    await talk.ask("elsewhere", "POST", "/rest/other/agent_runs/jobs/batch_status", json={"job_ids": many})
    await talk.ask("list", "GET", f"/rest/{COLLECTION}/agent_run_ingest_jobs?limit=2")
    await talk.ask("empty list", "GET", "/rest/other/agent_run_ingest_jobs?limit=5000")
    await talk.ask("create a collection", "POST", "/rest/create", json={"collection_id": None, "name": "mine"})
    await talk.ask("name a collection", "POST", "/rest/create", json={"collection_id": "mine"})
    made = await talk.ask("upload", "POST", "/rest/mine/agent_runs", content=b'{"agent_runs": []}')
    await talk.ask("what was uploaded", "GET", made["status_url"])
    await refusals(talk, jobs, f"{base}/jobs/{{}}")
    await talk.ask("another collection's job", "GET", f"/rest/other/agent_runs/jobs/{jobs['pending']}")
    await talk.ask("too many ids", "POST", f"{base}/jobs/batch_status", json={"job_ids": [UNKNOWN] * 101})
    await talk.ask("no ids", "POST", f"{base}/jobs/batch_status", json={})
    await talk.ask("wrong types", "POST", f"{base}/jobs/batch_status", json={"job_ids": [1]})
    await talk.ask("not JSON", "POST", f"{base}/jobs/batch_status", content=b"{")
    await talk.ask("no limit", "GET", f"/rest/{COLLECTION}/agent_run_ingest_jobs?limit=0")
    await talk.ask("empty upload", "POST", base, content=b"")
    await talk.ask("empty upload, compressed", "POST", base, content=gzip.compress(b""), headers=ZIPPED)
    await talk.ask("bad gzip", "POST", base, content=b"not gzip", headers=ZIPPED)
    await talk.ask("torn gzip", "POST", base, content=gzip.compress(b"x" * 999)[:-5], headers=ZIPPED)
    await talk.ask("other encoding", "POST", base, content=b"x", headers={"Content-Encoding": "br"})
    await talk.ask("a reserved name", "POST", "/rest/rubric/agent_runs", content=b"x")
    await talk.ask("unknown route", "GET", f"/rest/{COLLECTION}/dashboards")
    await talk.ask("unknown method", "DELETE", f"{base}/jobs/{UNKNOWN}")


async def fifthelement(talk: Recorder, jobs: Jobs) -> None:
    base = "/v1/api/jobs"
    for state in JobState:
        await talk.ask(f"status: {state}", "GET", f"{base}/{jobs[state]}")
    await talk.ask("at the root", "GET", f"/jobs/{jobs['pending']}")
    user = {"x-user-identifier": "ada@example.org"}
    made = await talk.ask("rerun", "POST", f"{base}/{jobs[JobState.FAILED]}/rerun", headers=user)
    await talk.ask("what was rerun", "GET", f"{base}/{made['data']['id']}")
    await talk.ask("rerun of a live job", "POST", f"{base}/{jobs[JobState.RUNNING]}/rerun")
    await refusals(talk, jobs, f"{base}/{{}}")
    await talk.ask("unknown job to rerun", "POST", f"{base}/{UNKNOWN}/rerun")
    await talk.ask("unknown route", "GET", "/v1/api/documents")
    await talk.ask("unknown method", "PUT", f"{base}/{UNKNOWN}")


async def immuta(talk: Recorder, jobs: Jobs) -> None:
    base = "/jobs/statuses"
    states = [jobs[state] for state in JobState]
    await talk.ask("every state", "POST", base, json={"jobIds": states})
    many = [states[0], UNKNOWN, "cefb58a0", jobs["foreign"], states[0]]
    await talk.ask("unknown ones are left out", "POST", base, json={"jobIds": many, "wait": 0, "pollInterval": 1})
    await talk.ask("a wait for what has ended", "POST", base, json={"jobIds": [jobs["completed"]], "wait": -1})
    await talk.ask("no ids", "POST", base, json={"jobIds": []})
    await talk.ask("no key", "POST", base, json={"jobIds": []}, headers=NO_KEY)
    await talk.ask("wrong key", "POST", base, json={"jobIds": []}, headers=WRONG_KEY)
    await talk.ask("wrong log-in", "POST", "/bim/apikey/authenticate", json={"apikey": "wrong"})
    await talk.ask("no log-in", "POST", "/bim/apikey/authenticate", json={})
    await talk.ask("nothing asked", "POST", base, json={})
    await talk.ask("wrong types", "POST", base, json={"jobIds": "x", "wait": "1", "pollInterval": 0})
    await talk.ask("too many ids", "POST", base, json={"jobIds": ["x"] * 1001})
    await talk.ask("not JSON", "POST", base, content=b"{")
    await talk.ask("too long", "POST", base, content=b'"' + b"x" * 2**20 + b'"')
    await talk.ask("unknown route", "GET", "/bim/users")
    await talk.ask("unknown method", "DELETE", base)


async def llamacloud(talk: Recorder, jobs: Jobs) -> None:
    base = "/api/v1/beta/batch-processing"
    for state in JobState:
        await talk.ask(f"status: {state}", "GET", f"{base}/{jobs[state]}")
    await talk.ask("items", "GET", f"{base}/{jobs[JobState.RUNNING]}/items")
    await talk.ask("items that are processed", "GET", f"{base}/{jobs[JobState.RUNNING]}/items?status=processing")
    await talk.ask("items of an ended job", "GET", f"{base}/{jobs[JobState.FAILED]}/items?limit=1&offset=1")
    await talk.ask("no items", "GET", f"{base}/{jobs[JobState.PENDING]}/items")
    results = f"{base}/items/{jobs[JobState.COMPLETED]}.a.pdf/processing-results"
    await talk.ask("results", "GET", results)
    await talk.ask("results of another kind", "GET", f"{results}?job_type=classify")
    for state in (JobState.CANCELLING, JobState.CANCELLED, JobState.COMPLETED, JobState.EXPIRED):
        await talk.ask(f"cancel: {state}", "POST", f"{base}/{jobs[state]}/cancel", json={"reason": "late"})
    for status in ("running", "failed", "cancelled", "dispatched"):
        await talk.ask(f"list: {status}", "GET", f"{base}?status={status}&directory_id={COLLECTION}")
    await talk.ask("list: second page", "GET", f"{base}?limit=2&offset=2&job_type=parse&project_id={UNKNOWN}")
    await talk.ask("list: other kind", "GET", f"{base}?job_type=classify")
    parse = {"job_config": {"job_name": "parse_raw_file_job"}, "item_ids": ["one", "two", "one"], "page_size": 7}
    made = await talk.ask("create", "POST", base, json=parse)
    await talk.ask("what was created", "GET", f"{base}/{made['id']}/items")
    await refusals(talk, jobs, f"{base}/{{}}")
    await talk.ask("unknown item", "GET", f"{base}/items/file-77/processing-results")
    await talk.ask("neither directory nor items", "POST", base, json={"job_config": {}})
    await talk.ask("wrong types", "POST", base, json={"job_config": 7, "item_ids": [1], "page_size": 1001})
    await talk.ask("too many items", "POST", base, json={"job_config": {}, "item_ids": ["x"] * 1001})
    await talk.ask("bad page", "GET", f"{base}?limit=1001&offset=-1&status=done")
    await talk.ask("not JSON", "POST", base, content=b"{")
    await talk.ask("too long", "POST", base, content=b'"' + b"x" * 2**20 + b'"')
    await talk.ask("compressed", "POST", base, content=gzip.compress(b"{}"), headers=ZIPPED)
    await talk.ask("unknown route", "GET", f"{base}/{UNKNOWN}/logs")
    await talk.ask("unknown method", "DELETE", f"{base}/{UNKNOWN}")


ZIPPED = {"Content-Encoding": "gzip"}


async def refusals(talk: Recorder, jobs: Jobs, path: str) -> None:
    """What every read of one job refuses."""
    await talk.ask("no key", "GET", path.format(jobs["pending"]), headers=NO_KEY)
    await talk.ask("wrong key", "GET", path.format(jobs["pending"]), headers=WRONG_KEY)
    unknown = await talk.ask("unknown id", "GET", path.format(UNKNOWN))
    assert await talk.ask("another tenant's id", "GET", path.format(jobs["foreign"])) == unknown
    assert await talk.ask("malformed id", "GET", path.format("job_abc123")) == unknown


CONVERSATIONS: dict[str, Callable[[Recorder, Jobs], Awaitable[None]]] = {
    "captain": captain,
    "docent": docent,
    "fifthelement": fifthelement,
    "immuta": immuta,
    "llamacloud": llamacloud,
}


def test_every_dialect_has_its_conversation() -> None:
    assert set(CONVERSATIONS) == set(DIALECTS)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_conversation_goes_as_recorded_and_as_documented(
    tenant: httpx.AsyncClient, jobs: Jobs, dialect: Dialect
) -> None:
    talk = Recorder(tenant, openapi(dialect))
    await CONVERSATIONS[dialect.name](talk, jobs)
    talk.check(dialect.name)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_examples_fit_the_document(dialect: Dialect) -> None:
    document: dict[str, Any] = openapi(dialect)
    recorder = Recorder(httpx.AsyncClient(), document)
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            recorder.fits(f"example of {name}", {"$ref": f"#/components/schemas/{name}"}, example)
