"""Captain's own client: starting jobs, following one with its files page by page, cancelling, and what is refused."""

import json

import native
from runcaptain import Captain
from runcaptain.core.api_error import ApiError
from runcaptain.errors import NotFoundError

client = Captain(key=native.API_KEY, organization_id="org-1", base_url=native.CLIENT_URL)
SECRET = "wJalrXUtnFEMI-K7MDENG"  # the shape of one

started = client.indexing.index_s3directory_v2(
    "handbooks",
    bucket_name="bucket",
    directory_path="docs/",
    aws_access_key_id="AKIA1",
    aws_secret_access_key=SECRET,
    processing_type="basic",
    max_files=3,
)
assert started.status == "pending", started
job_id = started.job_id
status = client.jobs.get_job_status_v2(job_id)
assert (status.status, status.job_type, status.collection_name) == ("pending", "index_s3_directory", "handbooks")
assert status.started_at is None
assert status.progress is None
assert SECRET not in status.model_dump_json()
assert SECRET not in json.dumps(native.call("GET", f"/v1/jobs/{job_id}"))

token = native.claim(job_id)
assert json.loads(native.read_input(job_id, token))["aws_secret_access_key"] == SECRET
files = [{"key": f"f{n}", "uri": f"s3://bucket/docs/{n}.pdf", "status": "completed"} for n in range(3)]
files[2] |= {"status": "failed", "error_code": "torn", "error_message": "page 3 is no page", "stage": "extracting"}
native.say(job_id, "report", token, stage="embedding", message="Embedding chunks", items=files, items_total=3)

pages, cursor = [], None
while True:
    query = {"files_limit": 2, **({"files_cursor": cursor} if cursor else {})}
    status = client.jobs.get_job_status_v2(job_id, request_options={"additional_query_parameters": query})
    pages.append([file.uri for file in status.files])
    cursor = status.files_page.next_cursor
    if cursor is None:
        break
assert pages == [["s3://bucket/docs/0.pdf", "s3://bucket/docs/1.pdf"], ["s3://bucket/docs/2.pdf"]], pages
assert status.status == "running"
assert status.progress.current_stage == "embedding"
assert (status.progress.files_total, status.progress.files_processed, status.progress.files_failed) == (3, 2, 1)
assert (status.files[0].status, status.files[0].error_code) == ("failed", "torn")
assert status.progress_message == "Embedding chunks"

bill = {
    "cost": {"amount": 0.42, "currency": "USD"},
    "credits": {"used": 42, "remaining": 958},
    "rate": {"per_credit": 0.01, "currency": "USD"},
    "processing_type": "basic",
    "pages_processed": 120,
}
native.say(job_id, "complete", token, result={"warnings": ["one page was empty"]}, billing=bill)
status = client.jobs.get_job_status_v2(job_id)
assert status.status == "completed_with_failures", status
assert (status.result.files_indexed, status.result.files_failed) == (2, 1)
assert status.result.warnings == ["one page was empty"]
assert status.billing.credits.remaining == 958
assert status.completed_at >= status.started_at >= status.created_at

for _ in range(2):
    answer = client.jobs.cancel_job_v2(job_id)
    assert (answer.job_id, answer.status) == (job_id, "completed_with_failures"), answer

half_billed = client.indexing.index_url_v2("handbooks", url="https://example.org/a.pdf", processing_type="advanced")
native.finish(half_billed.job_id, billing={"cost": {"amount": 1}})
status = client.jobs.get_job_status_v2(half_billed.job_id)
assert (status.status, status.billing, status.job_type) == ("completed", None, "index_url")

stopped = client.indexing.index_gcs_bucket_v2(
    "handbooks", bucket_name="b", service_account_json="{}", processing_type="basic"
)
for _ in range(2):
    answer = client.jobs.cancel_job_v2(stopped.job_id)
    assert (answer.status, answer.cancelled_at is None) == ("cancelled", False), answer
status = client.jobs.get_job_status_v2(stopped.job_id)
assert (status.status, status.cancelled_by is None) == ("cancelled", False)

failed = client.indexing.index_r2file_v2(
    "handbooks",
    bucket_name="b",
    file_uri="r2://b/f",
    account_id="a",
    access_key_id="k",
    secret_access_key="s",
    processing_type="basic",
)
native.fail(failed.job_id, "no such bucket")
status = client.jobs.get_job_status_v2(failed.job_id)
assert (status.status, status.error_code, status.error_message) == ("failed", "parse_failed", "no such bucket")

try:
    client.jobs.get_job_status_v2("job_s3_abc123")
except NotFoundError as error:
    assert error.body["detail"], error.body
else:
    raise AssertionError("an unknown job was found")
try:
    Captain(key="wrong", organization_id="org-1", base_url=native.CLIENT_URL).jobs.get_job_status_v2(job_id)
except ApiError as error:
    assert error.status_code == 401, error.status_code
else:
    raise AssertionError("a wrong key was good")
