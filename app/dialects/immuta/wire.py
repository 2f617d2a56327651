"""Immuta 2024.3's job statuses as the vendor documents them.

Source: https://documentation.immuta.com/2024.3/developer-guides/api-intro/immuta-v1-api/configure-your-instance-of-immuta/jobs
(kept as seed 003, read 2026-11-22) for the statuses; the vendor's authentication page and `fh-immuta-utils` 0.5.2 for
the log-in. What is ours and not the vendor's is said at the field.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictInt

State = Literal["created", "retry", "active", "completed", "expired", "cancelled", "failed"]
"""The seven documented words. The page's type column says `array[string]`, its example shows a string, and so do we."""

MOST_IDS = 1_000
"""Ours; the vendor documents no limit."""
LONGEST = 2_147_483_647
"""The largest number of seconds, a 32-bit integer as in the vendor's own types."""


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
    "message": "The request is not valid.",
    "validation": [{"code": "missing", "path": "/jobIds", "message": "Field required"}],
}


class StatusesRequest(_Wire):
    """Which jobs, and how long to wait for them."""

    model_config = ConfigDict(json_schema_extra={"examples": [REQUEST_EXAMPLE]})

    job_ids: list[str] = Field(
        alias="jobIds", max_length=MOST_IDS, description="Ids of jobs. Unknown ones are left out of the answer."
    )
    wait: StrictInt = Field(
        default=0,
        ge=-1,
        le=LONGEST,
        description="Seconds to wait before returning if not all jobs have ended; 0 answers now, -1 waits without end.",
    )
    poll_interval: StrictInt = Field(
        default=1,
        alias="pollInterval",
        ge=1,
        le=LONGEST,
        description="The longest time in seconds between two looks at the jobs while waiting; an end is seen at once.",
    )


class JobStatus(_Wire):
    """One job."""

    id: str
    state: State
    output: str | None = Field(
        description=(
            "The job's result, as JSON text unless it is a string itself; of a failed or expired job the JSON text of "
            "`{error: {code, message}}`; where some items failed, of `{result, counts}`; null where there is none."
        )
    )


Statuses: TypeAlias = dict[str, JobStatus]
"""The answer: an object keyed by job id, not a list."""


class AuthenticateRequest(_Wire):
    """The log-in, as JSON or form-encoded."""

    apikey: Annotated[str, Field(min_length=1)]


class Authenticated(_Wire):
    """A successful log-in. The token is the API key itself: a dialect keeps no state."""

    model_config = ConfigDict(json_schema_extra={"examples": [AUTHENTICATED_EXAMPLE]})

    authenticated: bool
    token: str = Field(description="To be sent as `Authorization: Bearer <token>`.")
    token_expiration: str = Field(
        serialization_alias="tokenExpiration",
        json_schema_extra={"format": "date-time"},
        description="When the key ends; for a key without an end, a date that is far away.",
    )


class ErrorBody(_Wire):
    """What went wrong, in the manner of hapi, which the vendor's server is built with (an inference)."""

    model_config = ConfigDict(json_schema_extra={"examples": [UNAUTHORIZED_EXAMPLE]})

    status_code: int = Field(serialization_alias="statusCode")
    error: str
    message: str


class Problem(_Wire):
    """One place of a request that is wrong. `validation[0].code` is what the vendor's client looks at."""

    code: str
    path: str
    message: str


class InvalidBody(ErrorBody):
    """A request that can be read and is wrong."""

    model_config = ConfigDict(json_schema_extra={"examples": [INVALID_EXAMPLE]})

    validation: list[Problem]
