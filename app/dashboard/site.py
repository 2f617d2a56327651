"""The edge of the pages: who signs in, what a change must carry, and how pages and errors are answered."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.dashboard import formats
from app.domain.errors import ForbiddenError, JobtrackError, UnauthorizedError
from app.domain.principal import Principal, Scope
from app.domain.session_text import form_token
from app.web.auth import store_caller
from app.web.deps import services
from app.web.errors import headers_of, status_of
from app.web.routing import guarded_route

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""No inline script, no inline style, nothing from elsewhere."""

FORM_HEADER: Final = "X-Jobtrack-Form"
"""The header that each change of a page carries: only our own pages know its value."""
SIGN_IN: Final = "/sign-in"
_SAFE: Final = frozenset({"GET", "HEAD"})

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(formats.FILTERS)


def pages_router() -> APIRouter:
    """Build a router of pages that want a session. Each route declares its scope, as all routes do."""
    return APIRouter(
        route_class=guarded_route(render=render_error, authenticate=session_caller), include_in_schema=False
    )


def own_origins(request: Request) -> set[str]:
    """Return the origins at which this service is reached: as the request names it, and as the operator does."""
    found = {f"{request.scope['scheme']}://{request.headers.get('host', '')}".lower()}
    if public := public_url(request):
        parts = urlsplit(public)
        found.add(f"{parts.scheme}://{parts.netloc}".lower())
    return found


def public_url(request: Request) -> str | None:
    """Return the address that the operator declares, None if there is none."""
    found: str | None = request.scope["state"].get("public_url")
    return found


def address_of(request: Request) -> str:
    """Return the address at which the reader reaches this service, for calls to copy."""
    if public := public_url(request):
        return public.rstrip("/")
    host = request.headers.get("host")
    if host is None:
        # HTTP/1.0, which may name none.
        address, port = request.scope["server"]
        host = f"{address}:{port}"
    return f"{request.scope['scheme']}://{host}"


def is_https(request: Request) -> bool:
    """Whether the browser speaks TLS, with us or with a proxy in front."""
    return request.scope["scheme"] == "https" or (public_url(request) or "").startswith("https:")


def cookie_name(request: Request) -> str:
    """Return the name of the session's cookie.

    It holds the port, by which browsers do not tell cookies apart: two services on one machine would sign each other's
    readers out.
    """
    port = urlsplit(f"//{request.headers.get('host', '')}").port or (443 if is_https(request) else 80)
    return f"{'__Host-' if is_https(request) else ''}jobtrack_session_{port}"


def session_token(request: Request) -> str | None:
    """Return the token of the request's session."""
    return request.cookies.get(cookie_name(request))


def check_origin(request: Request) -> None:
    """Refuse a change that another site's page asks for."""
    if request.headers.get("sec-fetch-site") == "same-origin":
        return
    if request.headers.get("origin", "").lower() not in own_origins(request):
        raise ForbiddenError("This change was asked for by another site, so it was not made.")


async def session_caller(request: Request) -> Principal:
    """Authenticate by the session's cookie, and for a change check that a page of ours asks for it."""
    token = session_token(request)
    if token is None:
        raise UnauthorizedError("Sign in to see this page.")
    found = await services(request).sessions.authenticate(token)
    if request.method not in _SAFE:
        check_origin(request)
        if request.headers.get(FORM_HEADER) != form_token(token):
            raise ForbiddenError("This page is of an older session. Reload it and try again.")
    return store_caller(request, found)


async def current_session(request: Request) -> Principal | None:
    """Return who is signed in; None if nobody is. For pages that are there without a session, too."""
    token = session_token(request)
    if token is None:
        return None
    try:
        return await services(request).sessions.authenticate(token)
    except UnauthorizedError:
        return None


def is_partial(request: Request) -> bool:
    """Whether htmx asks for a part of a page."""
    return request.headers.get("hx-request") == "true"


def rendered(request: Request, name: str, **context: Any) -> str:
    """Render a template. Every one knows who is signed in, what the key may do, and the token of its forms."""
    caller: Principal | None = request.scope["state"].get("principal")
    token = session_token(request) if caller is not None else None
    shared = {
        "caller": caller,
        "may": {scope.value: caller is not None and caller.may(scope) for scope in Scope},
        "form_token": form_token(token) if token else "",
        "path": request.url.path,
    }
    return _TEMPLATES.get_template(name).render(shared | context)


def page(request: Request, name: str, status: int = 200, **context: Any) -> Response:
    """Answer with a page or a part of one."""
    headers = {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Vary": "HX-Request, Cookie",
    }
    return Response(rendered(request, name, **context), status, headers, "text/html; charset=utf-8")


def changed(request: Request, sentence: str, event: str, part: str | None = None, **context: Any) -> Response:
    """Answer a change: with a note, an event for those parts of the page that show what has changed, and perhaps with a
    part of its own.
    """
    response = page(request, "changed.html", sentence=sentence, part=part, **context)
    response.headers["HX-Trigger"] = event
    return response


def render_error(request: Request, error: JobtrackError) -> Response:
    """Render an error: as a page, as a note on the page that htmx stands on, or as the way to sign in."""
    if isinstance(error, UnauthorizedError):
        return _to_sign_in(request)
    partial = is_partial(request)
    response = page(request, "note.html" if partial else "error.html", status_of(error), error=error)
    response.headers.update(headers_of(error))
    if partial:
        response.headers.update({"HX-Retarget": "#notes", "HX-Reswap": "innerHTML", "HX-Push-Url": "false"})
    return response


def _to_sign_in(request: Request) -> Response:
    if is_partial(request):
        return Response(None, 401, {"HX-Redirect": SIGN_IN})
    query = f"?{request.url.query}" if request.url.query else ""
    back = "" if request.method not in _SAFE else f"?next={quote(request.url.path + query)}"
    return Response(None, 303, {"Location": SIGN_IN + back})
