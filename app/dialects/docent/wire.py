"""Docent's models of ingestion jobs, as the vendor documents them.

Source: the vendor's page "Ingestion Jobs" (kept as seed 000, read 2026-11-22), the client `docent-python` 0.1.88, and
the vendor's own open-source server of April 2026. Fields that are ours and not the vendor's are
marked.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypeAliasType

Status = TypeAliasType("Status", Literal["pending", "running", "cancelling", "completed", "canceled"])
"""The five documented values: one l in `canceled`, two in `cancelling`. There is no `failed`."""

JobType = TypeAliasType(
    "JobType",
    Literal[
        "agent_run_ingest_job",
        "telemetry_processing_job",
        "telemetry_ingest_job",
        "rubric_job",
        "refinement_agent_job",
        "clustering_job",
        "centroid_assignment_job",
        "reflection_job",
        "llm_result_job",
        "chat_job",
        "compute_embeddings",
    ],
)

MOST_IDS = 100
MAX_UPLOAD_BYTES = 100 * 1024 * 1024

Timestamp = Annotated[str, Field(description="UTC without an offset, with up to six fractional digits.")]
"""As the vendor's server writes it. No `date-time`, which has an offset: clients would read a local time."""

EXAMPLE_ID = "01997b2e-6a40-7c1b-9d0a-3f6f1f5c2a10"
EXAMPLE_COLLECTION = "2c7a7c0e-5d62-4b0e-9a55-0d7b8f7d6a11"
LISTED_EXAMPLE: dict[str, Any] = {
    "job_id": EXAMPLE_ID,
    "status": "completed",
    "type": "agent_run_ingest_job",
    "created_at": "2025-11-22T03:57:30.203907",
    "collection_id": EXAMPLE_COLLECTION,
}
JOB_EXAMPLE: dict[str, Any] = {**LISTED_EXAMPLE, "error_message": None}


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class KeyTest(_Wire):
    """The API key is valid."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [{"message": "The API key is valid.", "user_id": "0123456789ab", "is_anonymous": False}]
        },
    )

    message: str
    user_id: str = Field(description="Id of the API key.")
    is_anonymous: bool


class CollectionCreate(_Wire):
    """A collection to create. Nothing is stored: any collection id is accepted, whether or not it was created."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"collection_id": None, "name": "My runs", "description": None}]},
    )

    collection_id: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^/]+$")] | None = None
    name: Annotated[str, StringConstraints(max_length=4096)] | None = None
    description: Annotated[str, StringConstraints(max_length=4096)] | None = None
    metadata: dict[str, Any] | None = None


class CollectionCreated(_Wire):
    """The collection id for uploads: the id that was sent, or a new one."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"collection_id": EXAMPLE_COLLECTION}]})

    collection_id: str


class JobInfo(_Wire):
    """A job in a list."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [LISTED_EXAMPLE]})

    job_id: str
    status: Status
    type: JobType
    created_at: Timestamp
    collection_id: str | None


class JobStatus(JobInfo):
    """A job."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [JOB_EXAMPLE]})

    error_message: str | None = Field(
        description="Error of a job that failed (shown as `canceled`); null if cancelled."
    )


class BatchStatusRequest(_Wire):
    """The jobs to read."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"job_ids": [EXAMPLE_ID]}]})

    job_ids: list[str] = Field(max_length=MOST_IDS, description="Job ids. Unknown ids are omitted from the response.")


class BatchStatus(_Wire):
    """The jobs found in a collection, in the order of the request."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"jobs": [JOB_EXAMPLE]}]})

    jobs: list[JobStatus]


class JobList(_Wire):
    """The newest jobs of a collection."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"jobs": [LISTED_EXAMPLE], "count": 1}]})

    jobs: list[JobInfo]
    count: int


class Enqueued(_Wire):
    """The job created by an upload."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "job_id": EXAMPLE_ID,
                    "status": "enqueued",
                    "status_url": f"/rest/{EXAMPLE_COLLECTION}/agent_runs/jobs/{EXAMPLE_ID}",
                    "message": "The upload is queued for ingestion.",
                }
            ]
        },
    )

    job_id: str
    status: Literal["enqueued"]
    status_url: str
    message: str
