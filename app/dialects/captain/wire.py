"""Captain's models of indexing jobs, API v2, as the vendor documents them.

Source: the vendor's page "Get Job Status" (kept as seed 001, read 2026-11-22), the generated client `captain-sdk`
0.1.1, and for what they leave open the vendor's API reference and TypeScript client. Indexing requests are in
`index_wire`, lists in `list_wire`. Fields that are ours and not the vendor's are marked.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeAliasType

from app.dialects.captain.words import FileStatusWord, JobType, ProcessingType, Stage, Status
from app.web.openapi import null_of

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC with milliseconds and a `Z`."""

EXAMPLE_ID = "01997b2e-6a40-7c1b-9d0a-3f6f1f5c2a10"
BILLING_EXAMPLE: dict[str, Any] = {
    "cost": {"amount": 0.42, "currency": "USD"},
    "credits": {"used": 42.0, "remaining": 958.0},
    "rate": {"per_credit": 0.01, "currency": "USD"},
    "processing_type": "basic",
    "pages_processed": 120,
}
JOB_EXAMPLE: dict[str, Any] = {
    "job_id": EXAMPLE_ID,
    "status": "running",
    "collection_name": "handbooks",
    "job_type": "index_s3",
    "progress_message": "Embedding chunks",
    "progress": {
        "current_stage": "embedding",
        "stage_description": "Generating vector embeddings",
        "files_total": 2,
        "files_processed": 1,
        "files_failed": 0,
        "files_skipped": 0,
        "elapsed_seconds": 12,
    },
    "files": [
        {
            "uri": "s3://bucket/a.pdf",
            "status": "completed",
            "stage": None,
            "progress_message": None,
            "error_code": None,
            "error_message": None,
            "updated_at": "2026-01-20T10:00:12.300Z",
        }
    ],
    "files_page": {"limit": 1, "next_cursor": "AAAAAAAAAAAAAAAAAAAAAQ", "total_estimated": 2},
    "result": None,
    "billing": None,
    "error_code": None,
    "error_message": None,
    "cancelled_by": None,
    "cancelled_at": None,
    "created_at": "2026-01-20T10:00:00.000Z",
    "updated_at": "2026-01-20T10:00:12.300Z",
    "started_at": "2026-01-20T10:00:00.300Z",
    "completed_at": None,
    "estimated_time_remaining_seconds": 12,
}
PLACEHOLDER: dict[str, Any] = {
    "job_id": EXAMPLE_ID,
    "status": "running",
    "progress": None,
    "progress_message": "Fetching job status — please retry in a few seconds",
    "estimated_time_remaining_seconds": 30,
}
"""The vendor's response when it cannot read a job: status unknown, retry shortly."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class JobProgress(_Wire):
    """Progress of a job."""

    current_stage: Stage | None = Field(description="Null for a stage that the vendor does not define.")
    stage_description: str | None
    files_total: int
    files_processed: int
    files_failed: int
    files_skipped: int
    elapsed_seconds: int


class FileStatus(_Wire):
    """One file of a job."""

    uri: str
    status: FileStatusWord
    stage: str | None
    progress_message: str | None
    error_code: str | None
    error_message: str | None
    updated_at: Timestamp


class FilesPage(_Wire):
    """Position of this page in the files. On the last page `next_cursor` is null."""

    limit: int
    next_cursor: str | None
    total_estimated: int


class JobResult(_Wire):
    """Outcome of the files."""

    files_indexed: int
    files_failed: int
    files_skipped: int
    duration_seconds: int
    warnings: list[str] = Field(description="The `warnings` of the job's result if they are a list, else empty.")


class BillingCost(BaseModel):
    """Cost of the job."""

    amount: float
    currency: str


class BillingCredits(BaseModel):
    """Credits used by the job."""

    used: float
    remaining: float


class BillingRate(BaseModel):
    """Price of a credit."""

    per_credit: float
    currency: str


class JobBilling(BaseModel):
    """The bill. Every field is required: the vendor's client fails on the whole response if one is missing."""

    cost: BillingCost
    credits: BillingCredits
    rate: BillingRate
    processing_type: ProcessingType
    pages_processed: int


class JobStatusResponseV2(_Wire):
    """One job."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [JOB_EXAMPLE]})

    job_id: str
    status: Status
    collection_name: str | None
    job_type: JobType
    progress_message: str | None
    progress: JobProgress | None = Field(description="Null while the job is pending.")
    files: list[FileStatus]
    files_page: FilesPage
    result: JobResult | None = Field(description="Present once the job has completed or failed.")
    billing: JobBilling | None = Field(
        description="Present once the job has completed if the bill reported by the worker has every field; else null."
    )
    error_code: str | None
    error_message: str | None
    cancelled_by: str | None = Field(description="Name of the API key that requested the cancellation.")
    cancelled_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None
    completed_at: Timestamp | None
    estimated_time_remaining_seconds: int | None


class PlaceholderResponse(_Wire):
    """The job could not be read: its status is unknown, retry shortly. Marked by the header `Jobtrack-Placeholder`."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [PLACEHOLDER]})

    job_id: str
    status: Literal["running"]
    progress: Annotated[None, null_of("JobProgress")]
    progress_message: str
    estimated_time_remaining_seconds: Literal[30]


JobStatusOrPlaceholder = TypeAliasType("JobStatusOrPlaceholder", JobStatusResponseV2 | PlaceholderResponse)


class JobCancelResponseV2(_Wire):
    """Outcome of a cancel. For a job that had already ended, the status in which it ended."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "job_id": EXAMPLE_ID,
                    "status": "cancelled",
                    "message": "The job is cancelled.",
                    "cancelled_at": "2026-01-20T10:01:00.000Z",
                }
            ]
        },
    )

    job_id: str
    status: Status
    message: str
    cancelled_at: Timestamp | None


class IndexJobResponseV2(_Wire):
    """The job that was started."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"job_id": EXAMPLE_ID, "status": "pending"}]}
    )

    job_id: str
    status: Status
