"""Captain promises that reading a status never fails: while the database is unavailable, the response is a placeholder.

It is returned only for keys that this process has authenticated before, since unknown keys cannot be checked without
the database, and only by the one operation for which the vendor documents it. A header marks the placeholder, and a
metric counts how many were sent.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from app.dialects.captain import translate
from app.domain.errors import JobtrackError, UnavailableError
from app.domain.ids import parse_id
from app.domain.principal import Scope
from app.web.auth import bearer_key
from app.web.deps import services
from app.web.detail_errors import render_detail

PATIENCE_SECONDS: Final = 10.0
"""Longer than the timeouts of a statement and of acquiring a connection, much shorter than the client's 60 seconds."""
MARK: Final = "Jobtrack-Placeholder"


def render(request: Request, error: JobtrackError) -> Response:
    """Render an error of the status operation: the placeholder if the database is unavailable, else the error."""
    return (_placeholder(request) if isinstance(error, UnavailableError) else None) or render_detail(request, error)


def _placeholder(request: Request) -> Response | None:
    core = services(request)
    caller = core.keys.known(bearer_key(request) or "")
    job_id = str(request.path_params.get("job_id", ""))
    if caller is None or not caller.may(Scope.READ) or parse_id(job_id) is None:
        return None
    core.metrics.count_placeholder("captain")
    headers = {MARK: "true", "Cache-Control": "no-store"}
    return Response(translate.placeholder(job_id).model_dump_json(), 200, headers, "application/json")
