"""Liveness and readiness, for whoever runs the service: no key, tiny answers."""

from typing import Literal

from fastapi import APIRouter, Request, Response

from app.api.responses import json_response, render_error
from app.api.routes import problems
from app.api.wire import Answer
from app.domain.errors import UnavailableError
from app.web.auth import public
from app.web.deps import CoreServices
from app.web.errors import headers_of
from app.web.problems import problem_document, request_id
from app.web.routing import guarded_route


class Alive(Answer):
    """The check succeeded."""

    status: Literal["ok"]


health = APIRouter(tags=["Health"], route_class=guarded_route(render=render_error), dependencies=[public])


@health.get(
    "/livez",
    operation_id="livez",
    summary="Check liveness",
    response_model=Alive,
    responses={200: {"description": "The process is running."}, **problems(public=True)},
)
async def livez() -> Response:
    """Return success without any check: an unavailable database is no reason to restart this process."""
    return json_response({"status": "ok"})


@health.get(
    "/readyz",
    operation_id="readyz",
    summary="Check readiness",
    response_model=Alive,
    responses={
        **problems(public=True),
        200: {"description": "Ready for traffic."},
        503: {
            "description": "Not ready; `failures` lists the reasons.",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        },
    },
)
async def readyz(request: Request, services: CoreServices) -> Response:
    """Check the database, and whether the process is shutting down."""
    failures = await services.health.failures()
    if not failures:
        return json_response({"status": "ok"})
    error = UnavailableError("Not ready.")
    response = json_response(
        {**problem_document(error, request_id(request)), "failures": failures}, 503, headers_of(error)
    )
    response.headers["Content-Type"] = "application/problem+json"
    return response
