"""The native API as a whole: its routers, and its OpenAPI document."""

import copy
from typing import Any, Final

from fastapi.openapi.utils import get_openapi

from app.api.events.routes import history
from app.api.events.streams import streams
from app.api.jobs.batches import job_batches
from app.api.jobs.inputs import inputs
from app.api.jobs.items import items
from app.api.jobs.lists import lists
from app.api.jobs.routes import jobs
from app.api.jobs.waiting import waiting
from app.api.jobs.waits import waits
from app.api.keys.projects import projects
from app.api.keys.routes import keys
from app.api.keys.sessions import sessions
from app.api.queues.routes import queues
from app.api.system.health import health
from app.api.system.metrics import metrics
from app.api.wire import Problem
from app.api.workers.claims import claims
from app.api.workers.lists import asking
from app.api.workers.routes import batches, workers
from app.domain.installation import version
from app.web.idempotency import KEY_PARAMETER

ROUTERS: Final = (
    jobs,
    job_batches,
    lists,
    inputs,
    waiting,
    history,
    streams,
    waits,
    items,
    claims,
    asking,
    workers,
    batches,
    queues,
    keys,
    sessions,
    projects,
    health,
    metrics,
)
"""In the order in which paths are tried and documented."""

_TAGS: Final = [
    {"name": "Jobs", "description": "Create jobs, list and read them, wait for them, rerun, cancel and delete them."},
    {"name": "History", "description": "Events and logs of jobs, in pages or as streams."},
    {"name": "Items", "description": "Parts of a job, each with its own status."},
    {"name": "Workers", "description": "Claim jobs, and report on them under a lease."},
    {"name": "Keys", "description": "Create, read, expire and revoke the project's keys."},
    {"name": "Projects", "description": "Tenants; for operators of the service."},
    {"name": "Queues", "description": "Depth, rates and rules of queues; pause and resume."},
    {"name": "Health", "description": "Liveness and readiness, without a key; metrics."},
]

_WITHOUT_KEY: Final = frozenset({"jobs_wait", "sessions_create_code"})
"""Operations by POST that take no Idempotency-Key: one changes nothing, and of one a repeat makes a code that nobody
uses.
"""

_DESCRIPTION: Final = """Jobtrack tracks background jobs: who created them, who runs them, and how far they are.

Send a key as `Authorization: Bearer <key>`. Errors are RFC 9457 problems; branch on `code`. Times are RFC 3339
in UTC with milliseconds. Statuses are an open set: ignore values that you do not know. If a JSON object
repeats a key, the last value is used."""


def openapi() -> dict[str, Any]:
    """Build the native OpenAPI document."""
    document: dict[str, Any] = copy.deepcopy(
        get_openapi(
            title="Jobtrack",
            version=version(),
            summary="A self-hosted service that tracks background jobs",
            description=_DESCRIPTION,
            tags=_TAGS,
            routes=[route for router in ROUTERS for route in router.routes],
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            separate_input_output_schemas=False,
        )
    )
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    for path in document["paths"].values():
        for method, operation in path.items():
            if method != "get" and operation["operationId"] not in _WITHOUT_KEY:
                operation.setdefault("parameters", []).append(dict(KEY_PARAMETER))
            responses = operation["responses"]
            if operation.get("security") is None:
                # FastAPI documents a 422 for every operation with parameters.
                responses.pop("422", None)
            operation["responses"] = dict(sorted(responses.items()))
    return document
