"""Fifth Element's documented client: the polling loop of its page, word for word but for the address, and a rerun."""

import contextlib
import io
import time

import native
import requests

HEADERS = {"Authorization": f"Bearer {native.API_KEY}"}
BASE_URL = f"{native.CLIENT_URL}/v1/api"
API_KEY = native.API_KEY


def poll_job(job_id, interval=5, timeout=300):
    """Poll job status until completion or timeout"""
    start_time = time.time()

    while time.time() - start_time < timeout:
        response = requests.get(f"{BASE_URL}/jobs/{job_id}", headers={"Authorization": f"Bearer {API_KEY}"})
        job = response.json()["data"]

        if job["status"] in ["completed", "failed", "cancelled"]:
            return job

        print(f"Job {job['status']}: {job['progress']}%")
        time.sleep(interval)

    raise TimeoutError("Job polling timed out")


job_id = native.create()


def works() -> None:
    token = native.claim(job_id)
    native.say(job_id, "report", token, progress=40)
    time.sleep(0.4)
    native.say(job_id, "complete", token, result={"documentsProcessed": 50, "errors": 0})


said = io.StringIO()
worker = native.Worker(works)
with contextlib.redirect_stdout(said):
    job = poll_job(job_id, interval=0.05, timeout=native.PATIENCE_SECONDS)
worker.done()
assert "Job running: 40%" in said.getvalue(), said.getvalue()
assert set(job) == {"id", "type", "status", "progress", "result", "createdAt", "completedAt"}, job
assert (job["status"], job["progress"], job["type"]) == ("completed", 100, "document_processing"), job
assert job["result"] == {"documentsProcessed": 50, "errors": 0}, job
assert job["createdAt"].endswith("Z"), job
assert len(job["createdAt"]) == len("2025-01-20T10:00:00Z"), job

answer = requests.post(f"{BASE_URL}/jobs/{job_id}/rerun", headers=HEADERS | {"x-user-identifier": "ada@example.org"})
assert answer.status_code == 200, answer.text
assert answer.json()["error"] is None
again = answer.json()["data"]
assert set(again) == {"id", "type", "status", "originalJobId", "createdAt"}, again
assert (again["status"], again["originalJobId"]) == ("pending", job_id), again
assert native.call("GET", f"/v1/jobs/{again['id']}")["labels"]["x-user-identifier"] == "ada@example.org"
native.fail(again["id"], "no such page")
failed = poll_job(again["id"])
assert failed["status"] == "failed", failed
assert failed["result"]["error"]["message"] == "no such page", failed
native.call("POST", f"/v1/jobs/{(third := native.create())}/cancel")
assert poll_job(third)["status"] == "cancelled"

live = requests.post(f"{BASE_URL}/jobs/{native.create()}/rerun", headers=HEADERS)
assert live.status_code == 400, live.text
assert live.json()["error"]["name"] == "ValidationError", live.text
assert int(live.headers["X-RateLimit-Remaining"]) > 0
unknown = requests.get(f"{BASE_URL}/jobs/job_abc123", headers=HEADERS)
assert (unknown.status_code, unknown.json()["error"]["name"]) == (404, "NotFoundError"), unknown.text
wrong = requests.get(f"{BASE_URL}/jobs/{job_id}", headers={"Authorization": "Bearer wrong"})
assert (wrong.status_code, wrong.json()["data"]) == (401, None), wrong.text
