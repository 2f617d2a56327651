"""Docent's own client: hand-shake, a collection, uploads of both kinds, and the wait that ends as the job does."""

import json
import urllib.request

import native
from docent import Docent
from docent.data_models import AgentRun, Transcript
from docent.data_models.chat import UserMessage
from requests import HTTPError


def run(text: str) -> AgentRun:
    return AgentRun(transcripts=[Transcript(messages=[UserMessage(content=text)])], metadata={"text": text})


def completes() -> None:
    job_id, token = native.claim_any("agent_run_ingest_job")
    sent = json.loads(native.read_input(job_id, token))
    assert sent["agent_runs"][0]["metadata"] == {"text": "hello"}, sent
    native.say(job_id, "complete", token)


def fails() -> None:
    job_id, token = native.claim_any("agent_run_ingest_job")
    native.say(job_id, "fail", token, code="bad_json", message="line 7 is no JSON", retryable=False)


try:
    Docent(api_key="wrong", api_url=native.CLIENT_URL, frontend_url=native.CLIENT_URL)
except HTTPError as error:
    assert "401" in str(error), error
    assert "Unauthorized" in str(error), error
else:
    raise AssertionError("a wrong key passed the hand-shake")

client = Docent(api_key=native.API_KEY, api_url=native.CLIENT_URL, frontend_url=native.CLIENT_URL)
collection = client.create_collection(name="runs")
assert client.create_collection(collection_id="mine") == "mine"

for compression in ("gzip", "none"):
    worker = native.Worker(completes)
    done = client.add_agent_runs(collection, [run("hello")], compression=compression, poll_interval=0.1)
    worker.done()
    assert done["status"] == "success", done
    assert len(done["job_ids"]) == 1, done

    status = client.get_agent_run_job_status(collection, done["job_ids"][0])
    assert status["status"] == "completed", status
    assert status["type"] == "agent_run_ingest_job", status
    assert status["collection_id"] == collection, status
    assert not status["created_at"].endswith("Z"), status

worker = native.Worker(fails)
try:
    client.add_agent_runs(collection, [run("bye")], poll_interval=0.1)
except RuntimeError as error:
    assert "line 7 is no JSON" in str(error), error
else:
    raise AssertionError("a failed job did not raise")
worker.done()

# The package's other uploader: in pieces, uncompressed, and without a content type.
with urllib.request.urlopen(
    urllib.request.Request(
        f"{native.CLIENT_URL}/rest/{collection}/agent_runs",
        data=iter([b'{"agent_runs": [{"metadata"', b': {"text": "hello"}}]}']),
        headers={"Authorization": f"Bearer {native.API_KEY}", "Content-Type": ""},
    )
) as answer:
    assert answer.status == 202, answer.status
completes()

queued = client.add_agent_runs(collection, [run("later")], wait=False)
assert queued["status"] == "enqueued", queued
[job_id] = queued["job_ids"]
statuses = client.get_agent_run_job_statuses(collection, [job_id, "job-123", done["job_ids"][0]])
assert {one["job_id"]: one["status"] for one in statuses} == {job_id: "pending", done["job_ids"][0]: "completed"}
assert client.get_agent_run_job_statuses(collection, []) == []
assert client.get_agent_run_job_statuses("another", [job_id]) == []
token = native.claim(job_id)
assert client.get_agent_run_job_status(collection, job_id)["status"] == "running"
native.call("POST", f"/v1/jobs/{job_id}/cancel")
assert client.get_agent_run_job_status(collection, job_id)["status"] == "cancelling"
native.say(job_id, "release", token)
ended = client.get_agent_run_job_status(collection, job_id)
assert (ended["status"], ended["error_message"]) == ("canceled", None), ended

try:
    client.get_agent_run_job_status(collection, "job-123")
except HTTPError as error:
    assert "404" in str(error), error
else:
    raise AssertionError("an unknown job was found")
