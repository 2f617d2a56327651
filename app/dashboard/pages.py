"""The pages, as plain HTML without a template engine, and the OpenAPI documents behind them.

No page has an inline script, so that the content security policy can forbid them all.
"""

import html
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Response

from app.domain.errors import NotFoundError
from app.paths import assets_dir
from app.web.auth import public
from app.web.errors import STATUS
from app.web.problems import TITLES, problem_response
from app.web.routing import guarded_route

NATIVE: Final = "native"
"""The name of the native API's own document."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI sets styles of elements while it draws; its scripts are files all the same.
_DOCS_POLICY: Final = _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="/static/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/jobtrack.css">
{more}</head>
"""

_HOME: Final = """<body>
<main class="page home">
<p class="mark" aria-hidden="true"><span></span><span></span><span></span></p>
<h1>Jobtrack</h1>
<p class="lead">This service keeps track of background jobs: who asked for them, who works on them, how far they are,
and how they ended. Make a job, let a worker claim it, wait for it to be done.</p>
<p class="actions"><a class="button" href="/docs">Try the API</a> <a href="/openapi.json">OpenAPI document</a></p>
<h2>Also spoken here</h2>
<p>The same jobs can be read through the job APIs of other products, at their own paths.</p>
<ul class="cards">{dialects}</ul>
<h2>For whoever runs it</h2>
<p><a href="/livez">Liveness</a> · <a href="/readyz">Readiness</a> · <a href="/docs/problems">What errors mean</a></p>
</main>
</body>
</html>
"""

_NO_DIALECTS: Final = "<li>None: <code>JOBTRACK_DIALECTS</code> leaves them out.</li>"

_DOCS: Final = """<body class="docs">
<header><a href="/">Jobtrack</a><label>API <select id="api">{options}</select></label></header>
<div id="swagger-ui">{instead}</div>
{script}</body>
</html>
"""

_PROBLEMS: Final = """<body>
<main class="page">
<p><a href="/">Jobtrack</a></p>
<h1>Problems</h1>
<p class="lead">What the <code>code</code> of an error means.</p>
<table>
<thead><tr><th>code</th><th>status</th><th>meaning</th></tr></thead>
<tbody>{rows}</tbody>
</table>
</main>
</body>
</html>
"""

_DOCS_FILES: Final = '<link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css">\n'
_DOCS_SCRIPTS: Final = (
    '<script src="/static/vendor/swagger-ui/swagger-ui-bundle.js" defer></script>\n'
    '<script src="/static/docs.js" defer></script>\n'
)


def make_pages(titles: Mapping[str, str], documents: Callable[[], Mapping[str, dict[str, Any]]]) -> APIRouter:
    """Make the routes of all pages. `titles` names each API, the native one first; `documents` describes them."""
    pages = APIRouter(
        route_class=guarded_route(render=problem_response), dependencies=[public], include_in_schema=False
    )

    @pages.get("/")
    async def home() -> Response:
        cards = "".join(
            f'<li><a href="/docs?api={html.escape(name)}">{html.escape(title)}</a></li>'
            for name, title in titles.items()
            if name != NATIVE
        )
        return _page("Jobtrack", _HOME.format(dialects=cards or _NO_DIALECTS))

    @pages.get("/docs")
    async def docs() -> Response:
        fetched = (assets_dir() / "swagger-ui" / "swagger-ui-bundle.js").is_file()
        options = "".join(
            f'<option value="{html.escape(name)}" data-url="{document_path(name)}">{html.escape(title)}</option>'
            for name, title in titles.items()
        )
        instead = "" if fetched else f"<p>Swagger UI is not here: run <code>make assets</code>. {_links(titles)}</p>"
        body = _DOCS.format(options=options, instead=instead, script=_DOCS_SCRIPTS if fetched else "")
        return _page("Jobtrack API", body, more=_DOCS_FILES if fetched else "", policy=_DOCS_POLICY)

    @pages.get("/docs/problems")
    async def problems() -> Response:
        rows = "".join(
            f'<tr id="{code}"><td><code>{code}</code></td><td>{STATUS.get(code, 409)}</td><td>{title}</td></tr>'
            for code, title in TITLES.items()
        )
        return _page("Problems", _PROBLEMS.format(rows=rows))

    @pages.get("/openapi.json")
    async def native_document() -> Response:
        return _document(documents()[NATIVE])

    @pages.get("/dialects/{name}/openapi.json")
    async def dialect_document(name: str) -> Response:
        found = documents().get(name)
        if found is None or name == NATIVE:
            raise NotFoundError("There is no such dialect.")
        return _document(found)

    return pages


def document_path(name: str) -> str:
    """Give the path of an API's OpenAPI document."""
    return "/openapi.json" if name == NATIVE else f"/dialects/{name}/openapi.json"


def _links(titles: Mapping[str, str]) -> str:
    return " · ".join(f'<a href="{document_path(name)}">{html.escape(title)}</a>' for name, title in titles.items())


def _document(document: Mapping[str, Any]) -> Response:
    return Response(json.dumps(document), 200, {"Cache-Control": "no-cache"}, "application/json")


def _page(title: str, body: str, *, more: str = "", policy: str = _POLICY) -> Response:
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Response(_HEAD.format(title=title, more=more) + body, 200, headers, "text/html")
