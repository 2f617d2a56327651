"""The one way in: the application's outermost layer, as plain ASGI, which every request passes.

It makes the exchange (id, headers, HEAD, clock), finds the route and calls it. What is no path of ours goes to the
FastAPI application, in which the routes are declared: files, and 404.

No BaseHTTPMiddleware: it puts a task and a queue between a wait and its client, and hides that the client left.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.errors import MalformedError, UnavailableError
from app.web.deps import Services
from app.web.errors import Render
from app.web.exchange import Exchange
from app.web.held_response import SPACE_SECONDS
from app.web.http_metrics import HttpMetrics
from app.web.problems import problem_response
from app.web.route_table import RouteTable

_NO_HOST: Final = "The request needs exactly one Host header."
_IS_FULL: Final = "This process holds as many connections as it may, each with a request under way."


SettingRow: TypeAlias = Sequence[str | None]
"""Name, value, origin and description of a setting, of which secrets are masked."""


def has_host(scope: Scope) -> bool:
    """Whether a request names its host as RFC 9112 requires: once, and not at all only before HTTP/1.1."""
    hosts = [name for name, _ in scope["headers"] if name == b"host"]
    return len(hosts) == 1 or (not hosts and scope.get("http_version") != "1.1")


class Front:
    """An ASGI application over the routes of a table and the application that declares them."""

    def __init__(
        self,
        app: ASGIApp,
        table: RouteTable,
        services: Services,
        metrics: HttpMetrics,
        *,
        render: Render = problem_response,
        space_seconds: float = SPACE_SECONDS,
        public_url: str | None = None,
        settings: Sequence[SettingRow] = (),
        readings: Mapping[str, tuple[str, str | None]] | None = None,
    ) -> None:
        self.app = app
        self._table = table
        self._services = services
        self._metrics = metrics
        self._render = render
        self._space_seconds = space_seconds
        self._public_url = public_url
        self._settings = settings
        self._readings = dict(readings or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        if is_head:
            # A copy: the server looks at its own scope to know that a body is not to be sent.
            scope = {**scope, "method": "GET"}
        exchange = Exchange(scope, send, self._metrics, without_body=is_head)
        state = scope.setdefault("state", {})
        state["request_id"] = exchange.request_id
        state["services"] = self._services
        state["space_seconds"] = self._space_seconds
        state["public_url"] = self._public_url
        state["settings"] = self._settings
        state["readings"] = self._readings
        try:
            refusal = UnavailableError(_IS_FULL) if "is_full" in state else None
            if refusal or not has_host(scope):
                request = Request(scope, receive, exchange.send)
                await exchange.answer(self._render(request, refusal or MalformedError(_NO_HOST)), receive)
                return
            found = self._table.find(scope["method"], scope["path"], scope.get("raw_path") or b"")
            if found is None:
                await self.app(scope, receive, exchange.send)
                return
            entry, scope["path_params"] = found
            # What the metrics are labelled by.
            scope["route"] = entry.route
            response = await entry.handler(Request(scope, receive, exchange.send))
            await exchange.answer(response, receive)
        finally:
            exchange.end()
