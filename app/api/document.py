"""The native API as a whole: its routers, and its OpenAPI document."""

import copy
from typing import Any, Final

from fastapi.openapi.utils import get_openapi

from app.api.events.routes import history
from app.api.events.streams import streams
from app.api.examples import add_answers
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
from app.version import running_version
from app.web.examples import show_parameters
from app.web.idempotency import KEY_PARAMETER
from app.web.openapi import SCHEMAS, complete, describe, operations, reachable, walk

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
    {"name": "Workers", "description": "Claim jobs, and report on them under a lease."},
    {"name": "Items", "description": "Parts of a job, each with its own status."},
    {"name": "History", "description": "Events and logs of jobs, in pages or as streams."},
    {"name": "Queues", "description": "Depth, rates and rules of queues; pause and resume."},
    {"name": "Keys", "description": "Create, read, expire and revoke the project's keys."},
    {"name": "Projects", "description": "Tenants; for operators of the service."},
    {"name": "Health", "description": "Liveness and readiness, without a key; metrics."},
]

_FIRST: Final = ("/v1/jobs", "/v1/jobs/wait")
"""The paths that a reader of the document meets first: create a job, and wait for it."""

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
            version=running_version() or "0",
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
    add_answers(schemas)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["paths"] = {path: document["paths"][path] for path in _FIRST} | document["paths"]
    show_parameters(document)
    for path in document["paths"].values():
        for method, operation in path.items():
            if method != "get" and operation["operationId"] not in _WITHOUT_KEY:
                operation.setdefault("parameters", []).append(dict(KEY_PARAMETER))
            if operation.get("security") is None:
                # FastAPI documents a 422 for every operation with parameters.
                operation["responses"].pop("422", None)
    complete(document)
    _open_enums(document)
    return document


def _open_enums(document: dict[str, Any]) -> None:
    """Write each enum of an answer as text with known values: a client that was generated before a value came must not
    fail on it. What is sent stays closed.
    """
    schemas = document["components"]["schemas"]
    responses = [operation["responses"] for operation in operations(document)]
    answered = reachable(schemas, responses)
    enums = {name: schema for name, schema in schemas.items() if "enum" in schema}
    for part in walk([*responses, *(schemas[name] for name in sorted(answered - enums.keys()))]):
        enum = part if "enum" in part else enums.get(part.get("$ref", "").removeprefix(SCHEMAS))
        if enum is None:
            continue
        said = part.get("description", enum.get("description"))
        values = enum["enum"]
        part.clear()
        part.update({"type": "string", "x-extensible-enum": values}, **({"description": said} if said else {}))
        describe(part, f"Known: {', '.join(f'`{value}`' for value in values)}; more may be added.")
    sent = [[operation.get("parameters"), operation.get("requestBody")] for operation in operations(document)]
    for name in enums.keys() - reachable(schemas, sent):
        del schemas[name]
