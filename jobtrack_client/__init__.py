"""The Python client of Jobtrack: submit and watch jobs, or write a worker that processes them.

It needs httpx and platformdirs, and nothing of the server. Start with `JobtrackClient` (synchronous code),
`AsyncJobtrackClient` (asyncio), or `job` and `Worker`, which claims jobs, keeps their leases, sends reports and
finishes the jobs; `python -m jobtrack_client worker` runs one.
"""

from jobtrack_client.client import AsyncJobtrackClient, JobtrackClient
from jobtrack_client.context import JobCancelled, JobContext
from jobtrack_client.errors import (
    AlreadyTerminal,
    Conflict,
    CursorExpired,
    Forbidden,
    InvalidTransition,
    JobFailed,
    JobtrackError,
    LeaseLost,
    NotEnded,
    NotFound,
    QueueFull,
    Unauthorized,
    Unavailable,
    Unprocessable,
)
from jobtrack_client.handlers import NoHandlerError, job
from jobtrack_client.lost_handlers import WorkerStuckError
from jobtrack_client.models import ClaimedJob, Item, ItemUpdate, Job, has_succeeded, is_terminal
from jobtrack_client.outcome import Done, Fail
from jobtrack_client.retry import Retry
from jobtrack_client.track import Track
from jobtrack_client.worker import Worker

__all__ = [
    "AlreadyTerminal",
    "AsyncJobtrackClient",
    "ClaimedJob",
    "Conflict",
    "CursorExpired",
    "Done",
    "Fail",
    "Forbidden",
    "InvalidTransition",
    "Item",
    "ItemUpdate",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobtrackClient",
    "JobtrackError",
    "LeaseLost",
    "NoHandlerError",
    "NotEnded",
    "NotFound",
    "QueueFull",
    "Retry",
    "Track",
    "Unauthorized",
    "Unavailable",
    "Unprocessable",
    "Worker",
    "WorkerStuckError",
    "has_succeeded",
    "is_terminal",
    "job",
]
