"""LlamaCloud's beta batch processing as the vendor documents it.

Source: the vendor's page "Get Batch Job Status" (kept as seed 004, read 2026-11-22), its OpenAPI document of August
2026, and the generated client `llama-cloud` 2.13.0; from 2.14 on the client has no batch calls. What is ours and not
the vendor's is said at the field.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictInt, StringConstraints, Tag

Status = Literal["pending", "running", "dispatched", "completed", "failed", "cancelled"]
"""The six documented words of a job, in the vendor's order."""
ItemStatus = Literal["pending", "processing", "completed", "failed", "skipped", "cancelled"]
"""The words of an item: another vocabulary."""
JobType = Literal["parse", "extract", "classify"]

MOST_ITEMS = 1_000
"""Ours: as many items as a job may be created with. The vendor documents no limit."""

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""UTC in milliseconds with a `Z`, as in the vendor's examples."""
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=255)]

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
ITEM_EXAMPLE: dict[str, Any] = {
    "item_id": "file-1",
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


class ParseConfig(_Wire):
    """A parse job for every file. What is not named here is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow", title="BatchParseJobRecordCreate")

    job_name: Literal["parse_raw_file_job"] = "parse_raw_file_job"
    parameters: dict[str, Any] | None = None
    partitions: dict[str, str] | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    parent_job_execution_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    webhook_url: str | None = Field(default=None, description="Kept; this server calls no webhook for it.")


class ClassifyRule(_Wire):
    """One rule of a classification."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    description: str


class ClassifyConfig(_Wire):
    """A classification of every file. What is not named here is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow", title="ClassifyJob")

    id: str
    project_id: str
    rules: list[ClassifyRule]
    status: Literal["PENDING", "SUCCESS", "ERROR", "PARTIAL_SUCCESS", "CANCELLED"]
    user_id: str


def _kind(config: Any) -> str:
    """Tell the two configurations apart; the vendor names nothing that would."""
    has_rules = "rules" in config if isinstance(config, dict) else isinstance(config, ClassifyConfig)
    return "classify" if has_rules else "parse"


JobConfig = Annotated[
    Annotated[ParseConfig, Tag("parse")] | Annotated[ClassifyConfig, Tag("classify")], Discriminator(_kind)
]


class BatchJobCreate(_Wire):
    """What is to be done, and to which files: a directory's, or those listed."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "job_config": {"job_name": "parse_raw_file_job", "parameters": {"lang": "en"}},
                    "item_ids": ["file-1", "file-2"],
                }
            ]
        },
    )

    job_config: JobConfig = Field(
        description="A classification if it has `rules`, else a parse job. What may be secret is for the worker alone."
    )
    directory_id: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="A directory whose files the worker finds; the job's collection."
    )
    item_ids: Annotated[list[ItemId], Field(max_length=MOST_ITEMS)] | None = Field(
        default=None, description="The files themselves; each becomes an item of the job."
    )
    page_size: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        default=100, description="For the worker; directories only."
    )
    continue_as_new_threshold: Annotated[StrictInt, Field(ge=1, le=2_147_483_647)] | None = Field(
        default=None, description="For the worker; directories only."
    )


class CancelRequest(_Wire):
    """Why, if anybody wants to say so."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"reason": "wrong directory"}]})

    reason: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        default=None, description="Kept in the job's history."
    )


class BatchJob(_Wire):
    """One batch job."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: str = Field(description="Of this server's form: a UUID, without the vendor's `bjb-`.")
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
    effective_at: Timestamp = Field(description="When the job came to its current status.")
    directory_id: str | None
    error_message: str | None = Field(description="The latest attempt's error.")
    job_record_id: str | None = Field(description="Always null here.")
    workflow_id: str | None = Field(description="Always null here.")


class BatchJobStatus(_Wire):
    """A job and how far it is."""

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
    next_page_token: str | None = Field(description="Always null: pages go by `offset`, as the client asks for them.")
    total_size: int = Field(description="How many jobs there are to page through, at most the newest 10,000.")


class BatchItem(_Wire):
    """One file of a job."""

    item_id: str = Field(description="As it was given at creation; of other jobs `<job id>.<key>`.")
    item_name: str
    status: ItemStatus
    effective_at: Timestamp
    started_at: Timestamp | None = Field(description="Always null: a file's beginning is not kept.")
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
    next_page_token: str | None = Field(description="Always null: pages go by `offset`, as the client asks for them.")
    total_size: int = Field(description="How many there are; with a status, among the first 100,000 files.")


class BatchCancelled(_Wire):
    """What a cancel came to. Of a job that has ended already it is the status in which it ended."""

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
    """What one job made of a file. All but the ids is what the worker reported as the item's result."""

    item_id: str
    job_config: dict[str, Any]
    job_type: JobType
    output_s3_path: str = Field(description="The result's `output_s3_path`, else the item's `uri`, else empty.")
    parameters_hash: str = Field(description="The result's own, else the SHA-256 of the configuration.")
    processed_at: Timestamp
    result_id: str = Field(description="The result's own, else `<job id>.<key>`.")
    output_metadata: Any = Field(description="The result's own, else the whole result.")


class ProcessingResults(_Wire):
    """What all jobs made of a file."""

    item_id: str
    item_name: str
    processing_results: list[ProcessingResult]
