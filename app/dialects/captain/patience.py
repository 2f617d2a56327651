"""The vendor's promise that reading a status never fails: a placeholder stands in for a database that does not answer.

Only for keys that this process has checked before, since a stranger's cannot be checked now, and only on the one call
that the vendor documents it for. A header marks such an answer, and a metric counts them.
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
"""Longer than a statement or the wait for a connection may take, much shorter than the client's own 60 seconds."""
MARK: Final = "Jobtrack-Placeholder"


def render(request: Request, error: JobtrackError) -> Response:
    """Answer an error of the status call: the placeholder where the database is away, the error's own shape else."""
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
