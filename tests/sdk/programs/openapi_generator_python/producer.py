"""A producer on openapi-generator's Python client: create a job, wait until it has ended, read it."""

import os

from jobtrack_api import ApiClient, Configuration, JobIn, JobsApi, WaitIn
from jobtrack_api.exceptions import NotFoundException

with ApiClient(Configuration(host=os.environ["API_URL"], access_token=os.environ["API_KEY"])) as client:
    jobs = JobsApi(client)
    new = JobIn(type="count", queue=os.environ["QUEUE"], payload={"to": 3}, labels={"made-by": "sdk"})
    created = jobs.jobs_create(new, idempotency_key=os.environ["QUEUE"])
    assert jobs.jobs_create(new, idempotency_key=os.environ["QUEUE"]).id == created.id

    waited = jobs.jobs_wait(WaitIn(ids=[created.id], wait=50))
    assert [job.status for job in waited.jobs] == ["completed"], waited

    job = jobs.jobs_get(created.id)
    assert job.result == {"sum": 6}, job.result
    assert job.counts.processed == 3
    assert job.completed_at is not None
    assert job.completed_at >= job.created_at

    code = None
    try:
        jobs.jobs_get("0192f0c1-2f6e-7c3a-9d51-2b7a3f1c9e10")
    except NotFoundException as error:
        code = error.data and error.data.code
    assert code == "not_found"
