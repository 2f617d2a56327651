"""The native API as a whole: its routers, and its OpenAPI document."""

import copy
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fastapi.openapi.utils import get_openapi

from app.api.events.routes import history
from app.api.events.streams import streams
from app.api.jobs.batches import job_batches
from app.api.jobs.inputs import inputs
from app.api.jobs.items import items
from app.api.jobs.lists import lists
from app.api.jobs.routes import jobs
from app.api.jobs.waits import waits
from app.api.keys.projects import projects
from app.api.keys.routes import keys
from app.api.queues.routes import queues
from app.api.system.health import health
from app.api.system.metrics import metrics
from app.api.wire import Problem
from app.api.workers.routes import batches, workers

ROUTERS: Final = (
    jobs,
    job_batches,
    lists,
    inputs,
    history,
    streams,
    waits,
    items,
    workers,
    batches,
    queues,
    keys,
    projects,
    health,
    metrics,
)
"""In the order in which paths are tried and documented."""

_TAGS: Final = [
    {"name": "Jobs", "description": "Create jobs, list and read them, wait for them, rerun, cancel and delete them."},
    {"name": "History", "description": "What happened to jobs, and what happens: events, logs, streams."},
    {"name": "Items", "description": "The parts of a job that have a status each."},
    {"name": "Workers", "description": "Claim jobs, and report on them under a lease."},
    {"name": "Keys", "description": "Keys of the project: make, show, end."},
    {"name": "Projects", "description": "Tenants, for whoever operates the service."},
    {"name": "Queues", "description": "How deep they are; pause, limit and set them up."},
    {"name": "Health", "description": "Liveness and readiness, without a key; metrics."},
]

_READS: Final = frozenset({"jobs_wait"})
"""Posts that change nothing."""

_IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes the call safe to repeat for 24 hours: the same key and request do it once. A repeat of what "
    "sets a state (cancel, delete, pause, an input) simply sets it again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257},
}

_DESCRIPTION: Final = """Jobtrack keeps track of background jobs: who makes them, who works on them, how far they are.

Send a key as `Authorization: Bearer <key>`. Errors are RFC 9457 problems; programs switch on `code`. Times are RFC 3339
in UTC with milliseconds. Statuses are an open set: ignore values that you do not know. Of duplicate keys in a JSON
object the last one counts."""


def openapi() -> dict[str, Any]:
    """Make the native OpenAPI document."""
    document: dict[str, Any] = copy.deepcopy(
        get_openapi(
            title="Jobtrack",
            version=_version(),
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
            if method != "get" and operation["operationId"] not in _READS:
                operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
            responses = operation["responses"]
            if operation.get("security") is None:
                # The framework documents a 422 for whatever has a parameter.
                responses.pop("422", None)
            operation["responses"] = dict(sorted(responses.items()))
    return document


def _version() -> str:
    try:
        return version("jobtrack")
    except PackageNotFoundError:
        # A checkout that is run as it lies.
        return "0"
