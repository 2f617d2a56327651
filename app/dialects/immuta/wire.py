"""Immuta 2024.3's models of job statuses, as the vendor documents them.

Source: https://documentation.immuta.com/2024.3/developer-guides/api-intro/immuta-v1-api/configure-your-instance-of-immuta/jobs
(kept as seed 003, read 2026-11-22) for the statuses; the vendor's authentication page and `fh-immuta-utils` 0.5.2 for
the log-in. Fields that are ours and not the vendor's are marked.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictInt
from typing_extensions import TypeAliasType

from app.web.params import WHOLE

State = TypeAliasType("State", Literal["created", "retry", "active", "completed", "expired", "cancelled", "failed"])
"""The seven documented values. The page's type column says `array[string]`; its example shows a string, as here."""

MOST_IDS = 1_000
"""Our limit; the vendor documents none."""
LONGEST = 2_147_483_647
"""The maximum number of seconds, a 32-bit integer as in the vendor's types."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


EXAMPLE_ID = "01997b2e-6a40-7c1b-9d0a-3f6f1f5c2a10"
STATUSES_EXAMPLE: dict[str, Any] = {EXAMPLE_ID: {"id": EXAMPLE_ID, "state": "completed", "output": None}}
REQUEST_EXAMPLE: dict[str, Any] = {"jobIds": [EXAMPLE_ID], "wait": 0, "pollInterval": 1}
AUTHENTICATED_EXAMPLE: dict[str, Any] = {
    "authenticated": True,
    "token": "jt_0000000000_examplekey",
    "tokenExpiration": "2027-01-20T10:00:00.000Z",
}
UNAUTHORIZED_EXAMPLE: dict[str, Any] = {"statusCode": 401, "error": "Unauthorized", "message": "Missing authentication"}
INVALID_EXAMPLE: dict[str, Any] = {
    "statusCode": 422,
    "error": "Unprocessable Entity",
    "message": "/jobIds: Field required.",
    "validation": [{"code": "missing", "path": "/jobIds", "message": "Field required"}],
}


class StatusesRequest(_Wire):
    """The jobs to read and how long to wait for them."""

    model_config = ConfigDict(json_schema_extra={"examples": [REQUEST_EXAMPLE]})

    job_ids: list[str] = Field(
        alias="jobIds", max_length=MOST_IDS, description="Job ids. Unknown ids are omitted from the response."
    )
    wait: Annotated[StrictInt, Field(ge=-1, le=LONGEST), WHOLE] = Field(
        default=0,
        description="Seconds to wait if not all jobs have ended; 0 returns immediately, -1 waits without a limit.",
    )
    poll_interval: Annotated[StrictInt, Field(ge=1, le=LONGEST), WHOLE] = Field(
        default=1,
        alias="pollInterval",
        description="Maximum seconds between two checks during the wait; the end of a job is noticed at once.",
    )


class JobStatus(_Wire):
    """One job."""

    id: str
    state: State
    output: str | None = Field(
        description=(
            "The job's result, as JSON text unless it is a string; for a failed or expired job the JSON text of "
            "`{error: {code, message}}`; if some items failed, of `{result, counts}`; null if there is no result."
        )
    )


class JobStatusWithoutOutput(JobStatus):
    """One job whose output the response has no room for.

    `outputOmitted` is ours; the vendor allows more fields here.
    """

    output_omitted: Literal[True] = Field(
        serialization_alias="outputOmitted", description="Ask for this job again, with fewer others."
    )


Statuses: TypeAlias = dict[str, JobStatus | JobStatusWithoutOutput]
"""The response: an object keyed by job id, not a list."""


class AuthenticateRequest(_Wire):
    """The log-in, as JSON or form-encoded."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"apikey": AUTHENTICATED_EXAMPLE["token"]}]})

    apikey: Annotated[str, Field(min_length=1)]


class Authenticated(_Wire):
    """A successful log-in. The token is the API key itself: a dialect stores no state."""

    model_config = ConfigDict(json_schema_extra={"examples": [AUTHENTICATED_EXAMPLE]})

    authenticated: bool
    token: str = Field(description="Send it as `Authorization: Bearer <token>`.")
    token_expiration: str = Field(
        serialization_alias="tokenExpiration",
        json_schema_extra={"format": "date-time"},
        description="When the key expires; a date in the far future if it never does.",
    )


class ErrorBody(_Wire):
    """An error in the format of hapi, on which the vendor's server is built (an inference)."""

    model_config = ConfigDict(json_schema_extra={"examples": [UNAUTHORIZED_EXAMPLE]})

    status_code: int = Field(serialization_alias="statusCode")
    error: str
    message: str


class Problem(_Wire):
    """One invalid field of a request. The vendor's client reads `validation[0].code`."""

    code: str
    path: str
    message: str


class InvalidBody(ErrorBody):
    """The request is well-formed but invalid."""

    model_config = ConfigDict(json_schema_extra={"examples": [INVALID_EXAMPLE]})

    validation: list[Problem]
