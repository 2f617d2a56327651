"""Signing in and out. Nobody has to paste a key: a printed link carries a one-time code in its fragment.

A fragment is not sent, so that no log, proxy or Referer sees the code; the page's script sends it by POST. Without
script a key can be pasted.
"""

from typing import Final

from fastapi import APIRouter, Request, Response

from app.core.browser_sessions import Session
from app.dashboard.forms import read_form, text_of
from app.dashboard.site import (
    check_origin,
    cookie_name,
    current_session,
    is_https,
    page,
    pages_router,
    render_error,
    session_token,
)
from app.domain.errors import JobtrackError, ThrottledError, UnauthorizedError
from app.domain.principal import Principal, Scope
from app.web.auth import public, requires
from app.web.deps import client_address, services
from app.web.errors import status_of
from app.web.routing import guarded_route

LONGEST_SECONDS: Final = 7 * 86_400
"""A session's cookie goes when the session is over at the latest (`db.browser_sessions.LONGEST`)."""

signing_in = APIRouter(route_class=guarded_route(render=render_error), include_in_schema=False)
signing_out = pages_router()


@signing_in.get("/sign-in", dependencies=[public])
async def show(request: Request) -> Response:
    """Show the form; the script of the page takes a code from the fragment."""
    return _form(request, await current_session(request), back=request.query_params.get("next", ""))


@signing_in.post("/sign-in", dependencies=[public])
async def sign_in(request: Request) -> Response:
    """Begin a session with a code or a key, and ask before it replaces one of another key."""
    check_origin(request)
    form = await read_form(request)
    code, key, back = text_of(form, "code"), text_of(form, "key"), text_of(form, "next")
    core = services(request)
    current = await current_session(request)
    try:
        if code:
            found = await core.sessions.principal_of_code(code)
        else:
            found = await core.keys.authenticate(key, client_address(request))
        if current is not None and current.ref != found.ref and not text_of(form, "replace"):
            return _form(request, current, other=found, code=code, back=back)
        begun = await core.sessions.begin_with_code(code) if code else await core.sessions.begin(found)
    except (UnauthorizedError, ThrottledError) as error:
        return _form(request, current, error=error, back=back)
    if old := session_token(request):
        await core.sessions.end(old)
    return _begun(request, begun, back)


@signing_out.post("/sign-out", dependencies=[requires(*Scope)])
async def sign_out(request: Request) -> Response:
    """End the session, in the database and in the browser."""
    token = session_token(request)
    if token is not None:
        await services(request).sessions.end(token)
    response = Response(None, 204, {"HX-Redirect": "/sign-in"})
    response.delete_cookie(cookie_name(request), path="/", secure=is_https(request), httponly=True, samesite="lax")
    return response


def _form(
    request: Request,
    current: Principal | None,
    *,
    error: JobtrackError | None = None,
    other: Principal | None = None,
    code: str = "",
    back: str = "",
) -> Response:
    """Show the form again: with an error, or with the question whether a session of another key is to be replaced."""
    status = 200 if error is None else status_of(error)
    return page(request, "sign_in.html", status, error=error, current=current, other=other, code=code, back=back)


def _begun(request: Request, session: Session, back: str) -> Response:
    """Send the browser where it wanted to go: a path of this service, never another one."""
    to = back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
    response = Response(None, 303, {"Location": to, "Cache-Control": "no-store"})
    response.set_cookie(
        cookie_name(request),
        session.token,
        max_age=LONGEST_SECONDS,
        path="/",
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )
    return response
