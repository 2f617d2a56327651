"""The pages of the API, written without a template engine, and the OpenAPI documents that they link to.

No page has an inline script, so the content security policy can forbid all of them.
"""

import html
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Response

from app.dashboard.problem_help import HELP
from app.domain.errors import NotFoundError
from app.paths import assets_dir
from app.web.auth import public
from app.web.errors import STATUS
from app.web.problems import TITLES, problem_response
from app.web.routing import guarded_route

NATIVE: Final = "native"
"""Name of the native API's document."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI sets inline styles while it renders; its scripts are served as files like all others.
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
{links}</head>
"""

_CODE: Final = re.compile("`(.+?)`")

_DOCS: Final = """<body class="docs">
<header><a href="/">Jobtrack</a><label>API <select id="api">{options}</select></label></header>
<div id="swagger-ui">{notice}</div>
{script}</body>
</html>
"""

_PROBLEMS: Final = """<body>
<main class="page">
<p><a href="/">Jobtrack</a></p>
<h1>Problems</h1>
<p class="lead">What each error <code>code</code> means, and what to do. <code>detail</code> has the particulars.</p>
{problems}
</main>
</body>
</html>
"""

_DOCS_FILES: Final = '<link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css">\n'
_DOCS_SCRIPTS: Final = (
    '<script src="/static/vendor/swagger-ui/swagger-ui-bundle.js" defer></script>\n'
    '<script src="/static/docs-plugin.js" defer></script>\n'
    '<script src="/static/docs.js" defer></script>\n'
)


def make_pages(titles: Mapping[str, str], documents: Callable[[], Mapping[str, dict[str, Any]]]) -> APIRouter:
    """Build the router of all pages.

    `titles` maps the name of each API to its title, the native API first; `documents` returns their OpenAPI documents.
    """
    pages = APIRouter(
        route_class=guarded_route(render=problem_response), dependencies=[public], include_in_schema=False
    )

    @pages.get("/docs")
    async def docs() -> Response:
        installed = (assets_dir() / "swagger-ui" / "swagger-ui-bundle.js").is_file()
        options = "".join(
            f'<option value="{html.escape(name)}" data-url="{document_path(name)}">{html.escape(title)}</option>'
            for name, title in titles.items()
        )
        notice = (
            "" if installed else f"<p>Swagger UI is not installed: run <code>make assets</code>. {_links(titles)}</p>"
        )
        body = _DOCS.format(options=options, notice=notice, script=_DOCS_SCRIPTS if installed else "")
        return _page("Jobtrack API", body, links=_DOCS_FILES if installed else "", policy=_DOCS_POLICY)

    @pages.get("/docs/problems")
    async def problems() -> Response:
        return _page("Problems", _PROBLEMS.format(problems="".join(map(_problem, TITLES))))

    @pages.get("/openapi.json")
    async def native_document() -> Response:
        return _document(documents()[NATIVE])

    @pages.get("/dialects/{name}/openapi.json")
    async def dialect_document(name: str) -> Response:
        document = documents().get(name)
        if document is None or name == NATIVE:
            raise NotFoundError("There is no such dialect.")
        return _document(document)

    return pages


def document_path(name: str) -> str:
    """Return the path of an API's OpenAPI document."""
    return "/openapi.json" if name == NATIVE else f"/dialects/{name}/openapi.json"


def _problem(code: str) -> str:
    cause, remedy = map(html.escape, HELP[code])
    return (
        f'<section id="{code}"><h2>{html.escape(TITLES[code])}</h2>'
        f'<p class="code"><code>{code}</code> · {STATUS.get(code, 409)}</p>'
        f"<p>{cause}</p><p><strong>What to do:</strong> {remedy}</p></section>\n"
    )


def _links(titles: Mapping[str, str]) -> str:
    return " · ".join(f'<a href="{document_path(name)}">{html.escape(title)}</a>' for name, title in titles.items())


def _document(document: Mapping[str, Any]) -> Response:
    return Response(json.dumps(document), 200, {"Cache-Control": "no-cache"}, "application/json")


def _page(title: str, body: str, *, links: str = "", policy: str = _POLICY) -> Response:
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Response(_HEAD.format(title=title, links=links) + body, 200, headers, "text/html")
