"""A worker on openapi-generator's Python client: claim a job, report on its items, complete it."""

import os

from jobtrack_api import (
    ApiClient,
    ClaimsIn,
    CompleteIn,
    Configuration,
    ItemStatus,
    ItemUpdateIn,
    ReportIn,
    WorkersApi,
)

with ApiClient(Configuration(host=os.environ["API_URL"], access_token=os.environ["API_KEY"])) as client:
    workers = WorkersApi(client)
    claimed = workers.claims_create(ClaimsIn(worker="sdk", queues=[os.environ["QUEUE"]], wait=50))
    (job,) = claimed.jobs
    assert job.payload is not None
    last = job.payload["to"]
    token = job.lease.token

    items = [ItemUpdateIn(key=str(number), status=ItemStatus.COMPLETED) for number in range(1, last + 1)]
    report = ReportIn(token=token, stage="counting", progress=50, items=items, items_total=last)
    reported = workers.jobs_report(job.id, report)
    assert reported.status == "running"
    assert not reported.cancel_requested

    ended = workers.jobs_complete(job.id, CompleteIn(token=token, result={"sum": sum(range(last + 1))}))
    assert ended.status == "completed"
