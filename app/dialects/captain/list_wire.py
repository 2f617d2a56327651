"""Captain's list of jobs: its status filter and its page."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeAliasType

from app.dialects.captain.wire import EXAMPLE_ID, Timestamp
from app.dialects.captain.words import JobType, Status

FilterStatus = TypeAliasType(
    "FilterStatus",
    Literal[
        "pending",
        "running",
        "processing",
        "completed",
        "completed_with_errors",
        "completed_with_failures",
        "failed",
        "cancelled",
        "timed_out",
    ],
)
"""The values of the list's status filter: the vendor's own vocabulary, and the values of `Status` as well."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class JobListEntry(_Wire):
    """A job in a list."""

    job_id: str
    status: Status
    job_type: JobType
    collection_name: str | None
    environment: str | None = Field(description="The job's label `environment`.")
    created_at: Timestamp
    files_total: int
    files_indexed: int
    files_failed: int
    error: str | None


class JobListResponse(_Wire):
    """A page of jobs, newest first."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "jobs": [
                        {
                            "job_id": EXAMPLE_ID,
                            "status": "running",
                            "job_type": "index_s3",
                            "collection_name": "handbooks",
                            "environment": None,
                            "created_at": "2026-01-20T10:00:00.000Z",
                            "files_total": 2,
                            "files_indexed": 1,
                            "files_failed": 0,
                            "error": None,
                        }
                    ],
                    "total_count": 1,
                    "limit": 50,
                    "offset": 0,
                }
            ]
        },
    )

    jobs: list[JobListEntry]
    total_count: int = Field(description="Number of jobs that can be paged through, at most the newest 10,000.")
    limit: int
    offset: int
