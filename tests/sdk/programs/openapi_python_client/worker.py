"""A worker on the client of openapi-python-client: claim a job, report on its items, complete it."""

import os

from jobtrack_api.api.workers import claims_create, jobs_complete, jobs_report
from jobtrack_api.client import AuthenticatedClient
from jobtrack_api.models import (
    Claimed,
    ClaimsIn,
    CompleteIn,
    EndedOut,
    ItemStatus,
    ItemUpdateIn,
    LogLevel,
    LogLineIn,
    ReportedOut,
    ReportIn,
)

client = AuthenticatedClient(base_url=os.environ["API_URL"], token=os.environ["API_KEY"])

claimed = claims_create.sync(client=client, body=ClaimsIn(worker="sdk", queues=[os.environ["QUEUE"]], wait=50))
assert isinstance(claimed, Claimed), claimed
(job,) = claimed.jobs
last = job.payload["to"]

reported = jobs_report.sync(
    job.id,
    client=client,
    body=ReportIn(
        token=job.lease.token,
        stage="counting",
        progress=50,
        items=[ItemUpdateIn(key=str(number), status=ItemStatus.COMPLETED) for number in range(1, last + 1)],
        items_total=last,
        logs=[LogLineIn(message="counted", level=LogLevel.DEBUG)],
        checkpoint={"at": last},
    ),
)
assert isinstance(reported, ReportedOut), reported
assert reported.status == "running"
assert not reported.cancel_requested
assert reported.lease.expires_in_seconds is not None

result = {"sum": sum(range(last + 1))}
ended = jobs_complete.sync(job.id, client=client, body=CompleteIn(token=job.lease.token, result=result))
assert isinstance(ended, EndedOut), ended
assert ended.status == "completed"
