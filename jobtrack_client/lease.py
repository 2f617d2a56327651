"""The lease of one job, as the reporter and the heartbeat thread share it."""

from __future__ import annotations

import time

from jobtrack_client.models import ClaimedJob, ReportAnswer
from jobtrack_client.stop import Stop

# Without a lease there is nothing to extend, but a cancellation gives the job a lease of 60 s: report thrice within it.
_NO_LEASE_INTERVAL_SECONDS = 20.0
# The lease of a job that is being cancelled is not extended, so a third of the remaining time would shrink towards zero
# and the heartbeats would become a flood. The shortest lease is one second.
_SHORTEST_INTERVAL_SECONDS = 0.25


class Lease:
    """The right to write to a job, and until when it must be extended.

    It is measured on the monotonic clock from before a request was sent. The service counts from the moment it received
    the request, so our lease expires first. `interval` is a third of the lease in seconds: one heartbeat in that time
    leaves two more attempts. `ends_at` is when the handler has run for too long, None for never.
    """

    def __init__(
        self, job: ClaimedJob, stop: Stop, *, lease_seconds: int | None, max_run_seconds: float | None
    ) -> None:
        self.job_id = job["id"]
        self.token = job["lease"]["token"]
        self.stop = stop
        self.lease_seconds = lease_seconds
        self.max_run_seconds = max_run_seconds
        self.sent_at = time.monotonic()
        self.ends_at = None if max_run_seconds is None else self.sent_at + max_run_seconds
        self.interval = interval_of(job["lease"]["expires_in_seconds"])

    def extend(self, sent_at: float, answer: ReportAnswer) -> None:
        """Note the response to a report that was sent at this time."""
        self.sent_at = max(self.sent_at, sent_at)
        self.interval = interval_of(answer["lease"]["expires_in_seconds"])
        if answer["cancel_requested"]:
            self.stop.request("cancel", "Cancellation was requested")

    def too_long(self) -> None:
        """Request that the handler stop because it has run for too long."""
        self.stop.request("too_long", f"The handler ran for more than {self.max_run_seconds:g} seconds")


def interval_of(lease_seconds: float | None) -> float:
    """Return the seconds between two signs of life."""
    return _NO_LEASE_INTERVAL_SECONDS if lease_seconds is None else max(lease_seconds / 3, _SHORTEST_INTERVAL_SECONDS)
