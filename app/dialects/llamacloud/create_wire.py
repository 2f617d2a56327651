"""LlamaCloud's request that creates a batch job, with its two kinds of configuration."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictInt, StringConstraints, Tag
from typing_extensions import TypeAliasType

from app.web.params import WHOLE

MOST_ITEMS = 1_000
"""Our limit on the items of a new job; the vendor documents none."""

ItemId = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


ClassifyStatus = TypeAliasType("ClassifyStatus", Literal["PENDING", "SUCCESS", "ERROR", "PARTIAL_SUCCESS", "CANCELLED"])


class ParseConfig(_Wire):
    """A parse job for every file. Fields not declared here are kept unchanged."""

    model_config = ConfigDict(frozen=True, extra="allow", title="BatchParseJobRecordCreate")

    job_name: Literal["parse_raw_file_job"] = "parse_raw_file_job"
    parameters: dict[str, Any] | None = None
    partitions: dict[str, str] | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    parent_job_execution_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    webhook_url: str | None = Field(default=None, description="Stored; this server does not call it.")


class ClassifyRule(_Wire):
    """One rule of a classification."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    description: str


class ClassifyConfig(_Wire):
    """A classification of every file. Fields not declared here are kept unchanged."""

    model_config = ConfigDict(frozen=True, extra="allow", title="ClassifyJob")

    id: str
    project_id: str
    rules: list[ClassifyRule]
    status: ClassifyStatus
    user_id: str


def _kind(config: Any) -> str:
    """Return the kind of a configuration; the vendor documents no discriminator field."""
    has_rules = "rules" in config if isinstance(config, dict) else isinstance(config, ClassifyConfig)
    return "classify" if has_rules else "parse"


JobConfig = Annotated[
    Annotated[ParseConfig, Tag("parse")] | Annotated[ClassifyConfig, Tag("classify")], Discriminator(_kind)
]


class BatchJobCreate(_Wire):
    """A batch job to create, for the files of a directory or for the listed files."""

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
        description=(
            "A classification if it has `rules`, else a parse job. Fields that may be secret reach only the worker."
        )
    )
    directory_id: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="A directory in which the worker finds the files; becomes the job's collection."
    )
    item_ids: Annotated[list[ItemId], Field(max_length=MOST_ITEMS)] | None = Field(
        default=None, description="Ids of the files; each becomes an item of the job."
    )
    page_size: Annotated[StrictInt, Field(ge=1, le=1000), WHOLE] = Field(
        default=100, description="Passed to the worker; directories only."
    )
    continue_as_new_threshold: Annotated[StrictInt, Field(ge=1, le=2_147_483_647), WHOLE] | None = Field(
        default=None, description="Passed to the worker; directories only."
    )
