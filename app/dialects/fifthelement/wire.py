"""Fifth Element's models of its Jobs API, as the vendor documents it.

Source: the vendor's page "Jobs API" (kept as seed 002, read 2026-11-22), and for the envelope, the error codes and the
headers its API overview of the same day. There is no SDK; the documented client is a polling loop. Fields that are
ours and not the vendor's are marked.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from app.web.openapi import null_of

Status = TypeAliasType("Status", Literal["pending", "running", "completed", "failed", "cancelled"])
"""The five documented values; the polling loop ends on the last three."""

Percent = Annotated[int | float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})]
"""Whole percentages are written without a fraction, as on the vendor's page."""

Timestamp = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
"""UTC in whole seconds with a `Z`, the only documented format."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


EXAMPLE_ID = "01997b2e-6a40-7c1b-9d0a-3f6f1f5c2a10"
JOB_EXAMPLE: dict[str, Any] = {
    "data": {
        "id": EXAMPLE_ID,
        "type": "document_processing",
        "status": "completed",
        "progress": 100,
        "result": {"documentsProcessed": 50, "errors": 0},
        "createdAt": "2025-01-20T10:00:00Z",
        "completedAt": "2025-01-20T10:05:00Z",
    },
    "error": None,
}

RERUN_ID = "01997b9c-4a00-7d2e-8f11-0b9d2c7e4f21"
RERUN_EXAMPLE: dict[str, Any] = {
    "data": {
        "id": RERUN_ID,
        "type": "document_processing",
        "status": "pending",
        "originalJobId": EXAMPLE_ID,
        "createdAt": "2025-01-20T12:00:00Z",
    },
    "error": None,
}

ERROR_EXAMPLE: dict[str, Any] = {
    "data": None,
    "error": {"name": "NotFoundError", "message": "There is no such job.", "details": {"code": "not_found"}},
}


class Job(_Wire):
    """One job as `GET /jobs/{id}` returns it. Every key is always present: the documented loop reads them unchecked."""

    id: UUID
    type: str = Field(
        description="Any type; the vendor names document_processing, web_crawling, batch_embedding, export, import.",
        examples=["document_processing"],
    )
    status: Status
    progress: Percent = Field(description="Percentage; at most 99 while the job is live.")
    result: dict[str, Any] | None = Field(
        description=(
            "The job's result. For a failed job `{error: {code, message}}`; if some items failed, `counts` is added; a "
            "result that is not an object is returned under `value`."
        )
    )
    created_at: Timestamp = Field(serialization_alias="createdAt")
    completed_at: Timestamp | None = Field(
        serialization_alias="completedAt",
        description="When the job ended, in any state; null while it is live.",
    )


class RerunJob(_Wire):
    """The job created by a rerun."""

    id: UUID = Field(description="Id of the new job.")
    type: str = Field(examples=["document_processing"])
    status: Status
    original_job_id: UUID = Field(serialization_alias="originalJobId", description="The job that was rerun.")
    created_at: Timestamp = Field(serialization_alias="createdAt")


class JobAnswer(_Wire):
    """The envelope around one job."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    data: Job
    error: Annotated[None, null_of("ErrorObject")]


class RerunAnswer(_Wire):
    """The envelope around a rerun."""

    model_config = ConfigDict(json_schema_extra={"examples": [RERUN_EXAMPLE]})

    data: RerunJob
    error: Annotated[None, null_of("ErrorObject")]


class ErrorObject(_Wire):
    """An error. `ValidationError` is the only name that the vendor documents."""

    name: str
    message: str
    details: dict[str, Any] = Field(
        description="`code` is stable; `errors` lists invalid fields, `status` the job status that forbids it."
    )


class ErrorAnswer(_Wire):
    """The envelope around an error."""

    model_config = ConfigDict(json_schema_extra={"examples": [ERROR_EXAMPLE]})

    data: Annotated[None, null_of("Job")]
    error: ErrorObject
