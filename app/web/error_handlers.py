"""Exception handlers for what no route answers, so that no default response of the framework is ever sent."""

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from app.domain.errors import JobtrackError
from app.web.errors import METHODS, MethodNotAllowedError, Render, allow_header
from app.web.framework_errors import as_jobtrack_error


def install(app: FastAPI, native: Render, fallbacks: Mapping[str, Render]) -> Render:
    """Render errors outside of routes (404, 405 of files, 500) in the format of the longest matching prefix. Returns
    what renders them.
    """
    ordered = sorted(fallbacks.items(), key=lambda pair: -len(pair[0]))

    def render(request: Request, error: JobtrackError) -> Response:
        path = request.url.path
        for prefix, chosen in ordered:
            if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                return chosen(request, error)
        return native(request, error)

    async def known(request: Request, error: Exception) -> Response:
        known_error = as_jobtrack_error(error)
        if isinstance(known_error, MethodNotAllowedError):
            known_error.allow = allowed_methods(request)
        return render(request, known_error)

    app.add_exception_handler(HTTPException, known)
    app.add_exception_handler(RequestValidationError, known)
    app.add_exception_handler(JobtrackError, known)
    app.add_exception_handler(Exception, known)
    return render


def allowed_methods(request: Request) -> str:
    """List the methods of a path that is in no table. The framework names only those of the first route that has it,
    and none for files, which are read alone.
    """
    # A mount that was entered has changed it.
    root_path = request.scope.get("app_root_path", request.scope.get("root_path", ""))

    def answers(method: str) -> bool:
        scope = {**request.scope, "method": method, "root_path": root_path}
        routes = (route for route in request.app.router.routes if method == "GET" or not isinstance(route, Mount))
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return allow_header([method for method in METHODS if answers(method)])
