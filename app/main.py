"""The application: the native API, every dialect, and the pages, over the services that it is given."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.staticfiles import StaticFiles

from app import dialects
from app.api import native
from app.api.render import render_error
from app.dashboard.pages import NATIVE, make_pages
from app.web.deps import Services
from app.web.errors import install
from app.web.front import Front
from app.web.http_metrics import HttpMetrics
from app.web.route_table import RouteTable

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_STATIC = Path(__file__).parent / "static"


def create_app(
    services: Services,
    *,
    telemetry: HttpMetrics | None = None,
    lifespan: Lifespan | None = None,
    speak: tuple[str, ...] | None = None,
) -> Front:
    """Build the application, with the dialects that it is to speak: all, or those named.

    Nothing is opened here; whoever built the services starts and stops them. Without `telemetry` requests are timed for
    nobody.
    """
    # A redirect to a path with or without its slash would point to http:// behind a proxy that speaks TLS.
    app = FastAPI(
        title="Jobtrack", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan
    )
    found = dialects.discover(speak)
    titles = {NATIVE: "Jobtrack", **{dialect.name: dialect.title for dialect in found}}
    pages = make_pages(titles, partial(_documents, speak))
    routers = (*native.ROUTERS, *(dialect.router for dialect in found), pages)
    for router in routers:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    install(app, render_error, {prefix: dialect.render for dialect in found for prefix in dialect.prefixes})
    return Front(app, RouteTable(routers), services, telemetry or HttpMetrics(CollectorRegistry()))


def openapi_documents(app: Front) -> dict[str, dict[str, Any]]:
    """Give the OpenAPI document of every API that there is, by name."""
    del app
    return _documents()


@cache
def _documents(speak: tuple[str, ...] | None = None) -> dict[str, dict[str, Any]]:
    """Return the documents, made at the first request for one: every start would pay for them otherwise."""
    return {NATIVE: native.openapi(), **{d.name: dialects.openapi(d) for d in dialects.discover(speak)}}
