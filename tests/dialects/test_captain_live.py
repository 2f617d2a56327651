"""What Captain's API promises beyond its words: the placeholder, secrets that stay secret, and starts that repeat."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from app.dialects.captain.index_wire import BODIES, CREDENTIALS
from tests.conftest import StartService
from tests.service_process import ServiceProcess

SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
FIELDS: dict[str, Any] = {
    "bucket_name": "b",
    "container_name": "c",
    "file_uri": "x://b/f",
    "directory_path": "d/",
    "aws_access_key_id": SECRET,
    "aws_secret_access_key": SECRET,
    "service_account_json": SECRET,
    "account_name": "a",
    "account_key": SECRET,
    "account_id": "a",
    "access_key_id": SECRET,
    "secret_access_key": SECRET,
    "url": "https://example.org/a",
    "processing_type": "basic",
}
FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n'
FORM_TYPE = {"Content-Type": 'multipart/form-data; charset=utf-8; boundary="b"'}


def body_for(source: str) -> dict[str, Any]:
    """What a source needs, and nothing else."""
    known = BODIES[source].model_fields
    return {name: value for name, value in FIELDS.items() if name in known} or {"url": "https://example.org/v"}


async def key_with(api: httpx.AsyncClient, *scopes: str) -> dict[str, str]:
    key = (await api.post("/v1/keys", json={"name": "k", "scopes": list(scopes)})).json()["key"]
    return {"Authorization": f"Bearer {key}"}


async def test_placeholder_while_the_database_is_away(
    start_service: StartService, database_url: str, admin: asyncpg.Connection
) -> None:
    service = await start_service()
    name = database_url.partition("@/")[2].partition("?")[0]
    async with service.client() as api:
        job_id = (await api.post("/v1/jobs", json={"type": "index_s3"})).json()["id"]
        reader, submitter = await key_with(api, "read"), await key_with(api, "submit")
        path = f"/v2/jobs/{job_id}"
        assert (await api.get(path, headers=reader)).json()["status"] == "pending"
        assert (await api.get(path, headers=submitter)).status_code == 403

        await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        for _ in range(2):
            answer = await api.get(path, headers=reader)
            assert answer.status_code == 200, answer.text
            assert answer.headers["Jobtrack-Placeholder"] == "true"
            assert answer.json() == {
                "job_id": job_id,
                "status": "running",
                "progress": None,
                "progress_message": "Fetching job status — please retry in a few seconds",
                "estimated_time_remaining_seconds": 30,
            }
        # 403 as long as the key is remembered; afterwards nobody can say.
        assert (await api.get(path, headers=submitter)).status_code in {403, 503}
        assert (await api.get(path, headers={"Authorization": "Bearer unknown"})).status_code == 503
        assert (await api.get("/v2/jobs/job_s3_abc", headers=reader)).status_code in {404, 503}
        assert (await api.post(f"{path}/cancel")).status_code == 503
        assert (await api.get(f"/v1/jobs/{job_id}", headers=reader)).status_code == 503

        await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        answer = await api.get(path, headers=reader)
        assert (answer.json()["status"], "Jobtrack-Placeholder" in answer.headers) == ("pending", False)
        metrics = (await api.get("/metrics")).text
        [counted] = [line for line in metrics.splitlines() if line.startswith("jobtrack_dialect_placeholder_answers_t")]
        assert 'dialect="captain"' in counted
        assert counted.endswith(" 2.0")


@pytest.mark.parametrize("source", BODIES)
async def test_each_source_starts_a_pending_job_of_its_own_type(api: httpx.AsyncClient, source: str) -> None:
    answer = await api.post(f"/v2/collections/web/index/{source}", json=body_for(source))
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "pending"
    job = (await api.get(f"/v1/jobs/{answer.json()['job_id']}")).json()
    assert (job["type"], job["collection"]) == ("index_" + source.replace("/", "_"), "web")
    assert job["payload"] == {"source": source} | (
        {"processing_type": "basic"} if "processing_type" in body_for(source) else {}
    )
    status = (await api.get(f"/v2/jobs/{job['id']}")).json()
    assert status["job_type"] == job["type"]


@contextmanager
def logged(service: ServiceProcess) -> Iterator[list[str]]:
    """What the service writes into its log meanwhile."""
    before = len(service.log.read_bytes())
    said: list[str] = []
    yield said
    said.append(service.log.read_bytes()[before:].decode())


@pytest.mark.parametrize("source", sorted(CREDENTIALS))
async def test_secrets_are_for_the_worker_alone_and_go_with_the_job(
    service: ServiceProcess, api: httpx.AsyncClient, source: str
) -> None:
    sent = body_for(source)
    reader = await key_with(api, "read")
    with logged(service) as said:
        job_id = (await api.post(f"/v2/collections/web/index/{source}", json=sent)).json()["job_id"]
        bad = await api.post(f"/v2/collections/web/index/{source}", json={**sent, "processing_type": SECRET})
        assert bad.status_code == 422
        assert SECRET not in bad.text
        for path in ("", "/items", "/events", "/logs"):
            answer = await api.get(f"/v1/jobs/{job_id}{path}", headers=reader)
            assert answer.status_code == 200
            assert SECRET not in answer.text
        assert SECRET not in (await api.get(f"/v2/jobs/{job_id}", headers=reader)).text
        assert (await api.get(f"/v1/jobs/{job_id}/input", headers=reader)).status_code == 403

        asked = {"worker": "w", "job_ids": [job_id], "max": 1}
        token = (await api.post("/v1/claims", json=asked)).json()["jobs"][0]["lease"]["token"]
        assert (await api.get(f"/v1/jobs/{job_id}/input")).status_code == 403, "not even the first key, without a lease"
        worker = await key_with(api, "work") | {"Lease-Token": token}
        assert (await api.get(f"/v1/jobs/{job_id}/input", headers=worker)).json() == sent
        await api.post(f"/v1/jobs/{job_id}/complete", json={"token": token})
        for headers in ({}, worker):
            assert (await api.get(f"/v1/jobs/{job_id}/input", headers=headers)).status_code == 409
        assert (await api.post(f"/v1/jobs/{job_id}/rerun")).json()["code"] == "input_gone"
    assert SECRET not in said[0]


async def test_repeated_start_is_one_job(api: httpx.AsyncClient) -> None:
    key, path = {"Idempotency-Key": str(uuid.uuid4())}, f"/v2/collections/{uuid.uuid4()}/index"
    sent = {"url": "https://example.org/a", "processing_type": "basic"}
    first, again = [(await api.post(f"{path}/url", json=sent, headers=key)).json() for _ in range(2)]
    assert first["job_id"] == again["job_id"]
    other = await api.post(f"{path}/url", json={**sent, "url": "https://example.org/b"}, headers=key)
    assert other.status_code == 422
    assert other.json()["detail"][0]["type"] == "idempotency_key_reused"
    uploads = [await api.post(f"{path}/file", content=FORM, headers=key | FORM_TYPE) for _ in range(2)]
    assert len({answer.json()["job_id"] for answer in uploads}) == 1
    collection = path.split("/")[3]
    listed = (await api.get("/v2/jobs", params={"collection": collection})).json()["jobs"]
    assert [job["job_type"] for job in listed if job["collection_name"] == collection] == ["index_file", "index_url"]


@pytest.mark.parametrize("form", [FORM, FORM.replace(b"\r\n", b"\n")], ids=["as browsers do", "by hand"])
async def test_form_becomes_the_input_as_it_was_sent(api: httpx.AsyncClient, form: bytes) -> None:
    answer = await api.post("/v2/collections/web/index/file", content=form, headers=FORM_TYPE)
    got = await api.get(f"/v1/jobs/{answer.json()['job_id']}/input")
    assert got.content == form
    assert got.headers["content-type"] == FORM_TYPE["Content-Type"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        FORM[:-6],
        FORM[4:],
        b"--b",
        b"\r\n" + FORM[:20],
        b"--b--\r\n",
        b"--b\r\n[]--b--\r\n",
        b"--b\r\n\r\nx\r\n--b--",
    ],
)
async def test_torn_form_stores_nothing(api: httpx.AsyncClient, content: bytes) -> None:
    collection = str(uuid.uuid4())
    answer = await api.post(f"/v2/collections/{collection}/index/file", content=content, headers=FORM_TYPE)
    assert answer.status_code == 400, answer.text
    assert (await api.get("/v1/jobs", params={"collection": collection})).json()["jobs"] == []


async def test_labels_filter_the_list(api: httpx.AsyncClient) -> None:
    sync = str(uuid.uuid4())
    for environment in ("dev", "prod"):
        await api.post("/v1/jobs", json={"type": "t", "labels": {"sync_id": sync, "environment": environment}})
    both = (await api.get("/v2/jobs", params={"sync_id": sync})).json()
    assert ([job["environment"] for job in both["jobs"]], both["total_count"]) == (["prod", "dev"], 2)
    one = (await api.get("/v2/jobs", params={"sync_id": sync, "job_environment": "dev"})).json()
    assert json.dumps(one["jobs"]).count('"dev"') == one["total_count"] == 1
