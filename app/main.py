"""The ASGI application: the native API, the dialects and the pages, built on the given services."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.datastructures import Headers
from starlette.staticfiles import StaticFiles

from app import dialects
from app.api import document
from app.api.responses import render_error
from app.dashboard.client_wheel import make_client_routes, read_client_wheel
from app.dashboard.now.routes import make_start_page
from app.dashboard.pages import NATIVE, make_pages
from app.dashboard.routers import ROUTERS as PAGES
from app.dashboard.site import render_error as render_page
from app.web.conditions import names_tag
from app.web.deps import Services
from app.web.error_handlers import install
from app.web.front import Front, SettingRow
from app.web.held_response import SPACE_SECONDS
from app.web.http_metrics import HttpMetrics
from app.web.route_table import RouteTable

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_STATIC = Path(__file__).parent / "static"


class _Files(StaticFiles):
    """Static files, asked about by the same conditions as everything else."""

    def is_not_modified(self, response_headers: Headers, request_headers: Headers) -> bool:
        """Whether the client has this file already."""
        if "if-none-match" in request_headers:
            return names_tag(request_headers, response_headers["etag"].strip('"'))
        return super().is_not_modified(response_headers, request_headers)


def create_app(
    services: Services,
    *,
    telemetry: HttpMetrics | None = None,
    lifespan: Lifespan | None = None,
    dialect_names: tuple[str, ...] | None = None,
    space_seconds: float = SPACE_SECONDS,
    public_url: str | None = None,
    settings: Sequence[SettingRow] = (),
) -> Front:
    """Build the application with the named dialects, or with all of them.

    Nothing is opened here; the caller, who built the services, starts and stops them. Without `telemetry` the times of
    requests are discarded. `space_seconds` is the interval of the spaces that keep a held response alive.
    `public_url` is the address at which browsers reach the service, if it is another than the one they name.
    `settings` is what the page of the system shows of them: no secret is among it.
    """
    # Behind a proxy that terminates TLS, a redirect that adds or removes a slash would point to http://.
    app = FastAPI(
        title="Jobtrack", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan
    )
    served = dialects.discover(dialect_names)
    titles = {NATIVE: "Jobtrack", **{dialect.name: dialect.title for dialect in served}}
    wheel = read_client_wheel()
    pages = (*PAGES, make_start_page(titles, wheel), make_pages(titles, partial(_documents, dialect_names)))
    dialect_routers = (dialect.router for dialect in served)
    routers = (*document.ROUTERS, *dialect_routers, *pages, make_client_routes(wheel))
    for router in routers:
        app.include_router(router)
    app.mount("/static", _Files(directory=_STATIC), name="static")
    fallbacks = {prefix: dialect.render for dialect in served for prefix in dialect.prefixes} | {"/ui": render_page}
    render = install(app, render_error, fallbacks)
    metrics = telemetry or HttpMetrics(CollectorRegistry())
    return Front(
        app,
        RouteTable(routers),
        services,
        metrics,
        render=render,
        space_seconds=space_seconds,
        public_url=public_url,
        settings=settings,
        # The pages show them, and know no dialect.
        readings={dialect.title: (dialect.job_path, dialect.job_body) for dialect in served},
    )


def openapi_documents(app: Front) -> dict[str, dict[str, Any]]:
    """Return the OpenAPI document of every API by name."""
    del app
    return _documents()


@cache
def _documents(dialect_names: tuple[str, ...] | None = None) -> dict[str, dict[str, Any]]:
    """Build the documents once, when one is first read: every start of the service would pay for them otherwise."""
    return {NATIVE: document.openapi(), **{d.name: dialects.openapi(d) for d in dialects.discover(dialect_names)}}
