"""Talk to Jobtrack from your own programs: submit and watch jobs, or work them.

Needs httpx and nothing of the server. Begin with `JobtrackClient` (plain code), `AsyncJobtrackClient`
(asyncio) or `Worker` (takes jobs, keeps their leases, reports, and finishes them).
"""

from jobtrack_client.client import AsyncJobtrackClient, JobtrackClient
from jobtrack_client.context import JobCancelled, JobContext
from jobtrack_client.errors import (
    AlreadyTerminal,
    Conflict,
    Forbidden,
    InvalidTransition,
    JobtrackError,
    LeaseLost,
    NotFound,
    Unauthorized,
    Unavailable,
    Unprocessable,
)
from jobtrack_client.models import ClaimedJob, Item, ItemUpdate, Job, is_terminal
from jobtrack_client.outcome import Done, Fail
from jobtrack_client.retry import Retry
from jobtrack_client.worker import Worker

__all__ = [
    "AlreadyTerminal",
    "AsyncJobtrackClient",
    "ClaimedJob",
    "Conflict",
    "Done",
    "Fail",
    "Forbidden",
    "InvalidTransition",
    "Item",
    "ItemUpdate",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobtrackClient",
    "JobtrackError",
    "LeaseLost",
    "NotFound",
    "Retry",
    "Unauthorized",
    "Unavailable",
    "Unprocessable",
    "Worker",
    "is_terminal",
]
