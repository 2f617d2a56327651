"""A producer on the client of openapi-python-client: create a job, wait until it has ended, read it."""

import os

from jobtrack_api.api.jobs import jobs_create, jobs_get, jobs_wait
from jobtrack_api.client import AuthenticatedClient
from jobtrack_api.models import JobCreated, JobDetail, JobIn, JobInLabels, Problem, Waited, WaitIn

client = AuthenticatedClient(base_url=os.environ["API_URL"], token=os.environ["API_KEY"])

labels = JobInLabels.from_dict({"made-by": "sdk"})
new = JobIn(type_="count", queue=os.environ["QUEUE"], payload={"to": 3}, labels=labels)
created = jobs_create.sync(client=client, body=new, idempotency_key=os.environ["QUEUE"])
assert isinstance(created, JobCreated), created
again = jobs_create.sync(client=client, body=new, idempotency_key=os.environ["QUEUE"])
assert isinstance(again, JobCreated), again
assert again.id == created.id

waited = jobs_wait.sync(client=client, body=WaitIn(ids=[created.id], wait=50))
assert isinstance(waited, Waited), waited
assert waited.not_found == []
assert [job.status for job in waited.jobs] == ["completed"], waited

job = jobs_get.sync(created.id, client=client)
assert isinstance(job, JobDetail), job
assert job.result == {"sum": 6}, job.result
assert job.counts.processed == 3
assert job.completed_at is not None
assert job.completed_at >= job.created_at

unknown = jobs_get.sync("0192f0c1-2f6e-7c3a-9d51-2b7a3f1c9e10", client=client)
assert isinstance(unknown, Problem), unknown
assert unknown.code == "not_found"
