"""LlamaCloud's models of its beta batch processing, as the vendor documents it.

Source: the vendor's page "Get Batch Job Status" (kept as seed 004, read 2026-11-22), its OpenAPI document of August
2026, and the generated client `llama-cloud` 2.13.0; from 2.14 on the client has no batch operations. Requests that
create a job are in `create_wire`. Fields that are ours and not the vendor's are marked.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypeAliasType

Status = TypeAliasType("Status", Literal["pending", "running", "dispatched", "completed", "failed", "cancelled"])
"""The six documented values for a job, in the vendor's order."""
ItemStatus = TypeAliasType(
    "ItemStatus", Literal["pending", "processing", "completed", "failed", "skipped", "cancelled"]
)
"""The values for an item, which differ from those for a job."""
JobType = TypeAliasType("JobType", Literal["parse", "extract", "classify"])

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""UTC in milliseconds with a `Z`, as in the vendor's examples."""

EXAMPLE_ID = "01997b2e-6a40-7c1b-9d0a-3f6f1f5c2a10"
EXAMPLE_PROJECT = "01997b2e-0000-7000-8000-000000000001"
JOB_EXAMPLE: dict[str, Any] = {
    "id": EXAMPLE_ID,
    "job_type": "parse",
    "project_id": EXAMPLE_PROJECT,
    "status": "running",
    "total_items": 2,
    "processed_items": 1,
    "failed_items": 0,
    "skipped_items": 0,
    "created_at": "2026-01-20T10:00:00.117Z",
    "updated_at": "2026-01-20T10:00:03.502Z",
    "started_at": "2026-01-20T10:00:01.020Z",
    "completed_at": None,
    "effective_at": "2026-01-20T10:00:01.020Z",
    "directory_id": None,
    "error_message": None,
    "job_record_id": None,
    "workflow_id": None,
}
EXAMPLE_ITEM = "file-1"
ITEM_EXAMPLE: dict[str, Any] = {
    "item_id": EXAMPLE_ITEM,
    "item_name": "file-1",
    "status": "completed",
    "effective_at": "2026-01-20T10:00:02.300Z",
    "started_at": None,
    "completed_at": "2026-01-20T10:00:02.300Z",
    "job_id": EXAMPLE_ID,
    "job_record_id": None,
    "error_message": None,
    "skip_reason": None,
}


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class CancelRequest(_Wire):
    """An optional reason for the cancellation."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"reason": "wrong directory"}]})

    reason: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        default=None, description="Stored in the job's history."
    )


class BatchJob(_Wire):
    """One batch job."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: str = Field(description="A UUID, without the vendor's prefix `bjb-`.")
    job_type: JobType
    project_id: str
    status: Status
    total_items: int
    processed_items: int
    failed_items: int
    skipped_items: int
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None
    completed_at: Timestamp | None
    effective_at: Timestamp = Field(description="When the job entered its current status.")
    directory_id: str | None
    error_message: str | None = Field(description="Error of the latest attempt.")
    job_record_id: str | None = Field(description="Always null here.")
    workflow_id: str | None = Field(description="Always null here.")


class BatchJobStatus(_Wire):
    """A job with its progress."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"job": JOB_EXAMPLE, "progress_percentage": 50.0}]}
    )

    job: BatchJob
    progress_percentage: float = Field(ge=0, le=100)


class BatchJobList(_Wire):
    """A page of jobs, newest first."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"items": [JOB_EXAMPLE], "next_page_token": None, "total_size": 1}]},
    )

    items: list[BatchJob]
    next_page_token: str | None = Field(description="Always null: the client pages by `offset`.")
    total_size: int = Field(description="Number of jobs that can be paged through, at most the newest 10,000.")


class BatchItem(_Wire):
    """One file of a job."""

    item_id: str = Field(description="The id assigned at creation; for other jobs `<job id>.<key>`.")
    item_name: str
    status: ItemStatus
    effective_at: Timestamp
    started_at: Timestamp | None = Field(description="Always null: the start time of a file is not stored.")
    completed_at: Timestamp | None
    job_id: str
    job_record_id: str | None = Field(description="Always null here.")
    error_message: str | None
    skip_reason: str | None


class BatchItemList(_Wire):
    """A page of files, in the order in which they were first reported."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"items": [ITEM_EXAMPLE], "next_page_token": None, "total_size": 1}]},
    )

    items: list[BatchItem]
    next_page_token: str | None = Field(description="Always null: the client pages by `offset`.")
    total_size: int = Field(description="Number of files; with a status, among the first 100,000.")


class BatchCancelled(_Wire):
    """Outcome of a cancel. For a job that had already ended, the status in which it ended."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {"job_id": EXAMPLE_ID, "status": "cancelled", "processed_items": 1, "message": "The job is cancelled."}
            ]
        },
    )

    job_id: str
    status: Status
    processed_items: int
    message: str


class ProcessingResult(_Wire):
    """The result of one job for a file. All fields except the ids come from the result that the worker reported."""

    item_id: str
    job_config: dict[str, Any]
    job_type: JobType
    output_s3_path: str = Field(description="The result's `output_s3_path`, else the item's `uri`, else empty.")
    parameters_hash: str = Field(description="From the result, else the SHA-256 of the configuration.")
    processed_at: Timestamp
    result_id: str = Field(description="From the result, else `<job id>.<key>`.")
    output_metadata: Any = Field(description="From the result, else the whole result.")


RESULTS_EXAMPLE: dict[str, Any] = {
    "item_id": EXAMPLE_ITEM,
    "item_name": EXAMPLE_ITEM,
    "processing_results": [
        {
            "item_id": EXAMPLE_ITEM,
            "job_config": {"job_name": "parse_raw_file_job", "parameters": {"lang": "en"}},
            "job_type": "parse",
            "output_s3_path": "s3://example/file-1.json",
            "parameters_hash": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "processed_at": "2026-01-20T10:00:02.300Z",
            "result_id": f"{EXAMPLE_ID}.{EXAMPLE_ITEM}",
            "output_metadata": {"pages": 12},
        }
    ],
}


class ItemProcessingResults(_Wire):
    """The results of all jobs for a file."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [RESULTS_EXAMPLE]})

    item_id: str
    item_name: str
    processing_results: list[ProcessingResult]
