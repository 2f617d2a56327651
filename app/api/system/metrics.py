"""What Prometheus reads."""

from typing import Annotated

from fastapi import APIRouter, Response

from app.api.responses import render_error
from app.api.routes import problems
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.deps import CoreServices
from app.web.routing import guarded_route

metrics = APIRouter(tags=["Health"], route_class=guarded_route(render=render_error))

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@metrics.get(
    "/metrics",
    operation_id="metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(),
    },
)
async def read_metrics(caller: Annotated[Principal, requires(Scope.METRICS)], services: CoreServices) -> Response:
    """Return the metrics of this process, labelled `process`. With several processes behind one address, each scrape
    reaches one of them. They tell of all projects: only an operator makes a key with `metrics`, which may nothing else.
    """
    del caller
    return Response(await services.metrics.render(), headers={"Content-Type": CONTENT_TYPE})
