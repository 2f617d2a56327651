"""Which route a request is for: a look into a table, for most paths.

The framework's router tries one route after the other, 100 to 200 microseconds for a late one, several times what the
rest of a read costs. Here a path without parameters is a key of a dictionary, and one with a single parameter
(`/v1/jobs/{job_id}/rerun`) is found by what stands before the parameter and behind it. The few others are tried in
turn. The router has the same routes, for what it still does: 404, and 405 with the methods that a path does take.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from fastapi import APIRouter

from app.web.binding import Handler
from app.web.routing import GuardedRoute

_LITERAL: Final = re.compile(r"[^{}]*")
_ONE_PARAMETER: Final = re.compile(r"([^{}]*/)\{(\w+)\}((?:/[^{}]*)?)")
"""A parameter that is one whole step of the path, of any text."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A route, ready to be called."""

    route: GuardedRoute
    handler: Handler
    parameter: str = ""
    """The name of its parameter, where it has exactly one."""


Match: TypeAlias = tuple[Entry, dict[str, Any]]
"""A route, and the parameters in the path."""


class RouteTable:
    """The guarded routes of some routers, by method and path. Of two that fit a path, the first one counts."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._literal: dict[tuple[str, str], Entry] = {}
        self._behind: dict[str, dict[tuple[str, str], Entry]] = {}
        """By what stands before the parameter; then by method and by what stands behind it."""
        self._others: list[Entry] = []
        for router in routers:
            for route in router.routes:
                if isinstance(route, GuardedRoute):
                    self._add(route)
        self._lengths = sorted({len(before) for before in self._behind})

    def _add(self, route: GuardedRoute) -> None:
        handler, methods = route.get_route_handler(), route.methods or ()
        if _LITERAL.fullmatch(route.path):
            for method in methods:
                self._literal.setdefault((method, route.path), Entry(route, handler))
        elif found := _ONE_PARAMETER.fullmatch(route.path):
            before, parameter, after = found.groups()
            for method in methods:
                self._behind.setdefault(before, {}).setdefault((method, after), Entry(route, handler, parameter))
        else:
            self._others.append(Entry(route, handler))

    def find(self, method: str, path: str) -> Match | None:
        """Return the route of a path, and its parameters; None if there is none with this method."""
        entry = self._literal.get((method, path))
        if entry is not None:
            return entry, {}
        for start in self._lengths:
            behind = self._behind.get(path[:start])
            if behind is None:
                continue
            end = path.find("/", start)
            if end < 0:
                end = len(path)
            entry = behind.get((method, path[end:]))
            if entry is not None and end > start:
                return entry, {entry.parameter: path[start:end]}
        return next(self._matches(method, path), None)

    def _matches(self, method: str, path: str) -> Iterator[Match]:
        """Try the routes with several parameters, or with one of several steps."""
        for entry in self._others:
            route = entry.route
            if method in (route.methods or ()) and (found := route.path_regex.match(path)):
                convert = route.param_convertors
                yield entry, {name: convert[name].convert(text) for name, text in found.groupdict().items()}
