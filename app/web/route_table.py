"""Which route a request is for: a look into a table, for most paths.

The framework's router tries one route after the other, 100 to 200 microseconds for a late one, several times what the
rest of a read costs. Here a path without parameters is a key of a dictionary, and one with a single parameter
(`/v1/jobs/{job_id}/rerun`) is found by what stands before the parameter and behind it. The few others are tried in
turn.

The path decides first and the method second: `/v1/jobs/wait` is never the job `wait`, whatever the method. A method
that the path does not take is refused, with those that it does. The router answers what is none of these paths.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from fastapi import APIRouter

from app.web.binding import Handler
from app.web.errors import allow_header
from app.web.routing import GuardedRoute

_LITERAL: Final = re.compile(r"[^{}]*")
_ONE_PARAMETER: Final = re.compile(r"([^{}]*/)\{(\w+)\}((?:/[^{}]*)?)")
"""A parameter that is one whole step of the path, of any text."""
_PARAMETER: Final = re.compile(r"\{\w*")
_ENCODED_SLASH: Final = re.compile(rb"%2[fF]")
_SLASH_IN_STEP: Final = "\0"
"""Stands for an encoded slash while a path is matched. A path with a real NUL is no path (`routing.check_path`)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A route, ready to be called."""

    route: GuardedRoute
    handler: Handler
    parameter: str = ""
    """The name of its parameter, where it has exactly one."""


Match: TypeAlias = tuple[Entry, dict[str, Any]]
"""A route, and the parameters in the path."""


@dataclass(slots=True)
class _Path:
    """The routes of one path by method, and what refuses the other methods."""

    first: GuardedRoute
    entries: dict[str, Entry] = field(default_factory=dict)
    refusal: Entry = field(init=False)

    def add(self, entry: Entry) -> None:
        for method in entry.route.methods or ():
            self.entries.setdefault(method, entry)
        self.refusal = Entry(self.first, self.first.get_refusal(allow_header(self.entries)))

    def entry(self, method: str) -> Entry:
        return self.entries.get(method) or self.refusal


class RouteTable:
    """The guarded routes of some routers, by path and method. Of two that fit both, the first one counts."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._literal: dict[str, _Path] = {}
        self._behind: dict[str, dict[str, _Path]] = {}
        """By what stands before the parameter; then by what stands behind it."""
        others: dict[str, _Path] = {}
        """By the path without the names of its parameters."""
        for router in routers:
            for route in router.routes:
                if isinstance(route, GuardedRoute):
                    self._add(route, others)
        self._lengths = sorted({len(before) for before in self._behind})
        # The more of a path is literal, the more it says: `/v1/queues/x/pause` is not the queue `x/pause`.
        named = sorted(others.values(), key=lambda path: -len(re.sub(r"\{[^}]*\}", "", path.first.path)))
        # A name may hold a line feed, at which the framework's own pattern would stop.
        self._others = [(re.compile(path.first.path_regex.pattern, re.DOTALL), path) for path in named]

    def _add(self, route: GuardedRoute, others: dict[str, _Path]) -> None:
        handler = route.get_route_handler()
        if _LITERAL.fullmatch(route.path):
            self._literal.setdefault(route.path, _Path(route)).add(Entry(route, handler))
        elif found := _ONE_PARAMETER.fullmatch(route.path):
            before, parameter, after = found.groups()
            path = self._behind.setdefault(before, {}).setdefault(after, _Path(route))
            path.add(Entry(route, handler, parameter))
        else:
            others.setdefault(_PARAMETER.sub("{", route.path), _Path(route)).add(Entry(route, handler))

    def find(self, method: str, path: str, raw_path: bytes = b"") -> Match | None:
        """Return the route of a path, and its parameters; None if there is no such path. For a method that the path
        does not take, what refuses it. `raw_path` tells a slash within a name from one between two steps.
        """
        known = self._literal.get(path)
        if known is not None:
            return known.entry(method), {}
        for start in self._lengths:
            behind = self._behind.get(path[:start])
            if behind is None:
                continue
            end = path.find("/", start)
            if end < 0:
                end = len(path)
            known = behind.get(path[end:])
            if known is not None and end > start:
                entry = known.entry(method)
                return entry, {entry.parameter: path[start:end]} if entry.parameter else {}
        return self._find_other(method, _steps(path, raw_path))

    def _find_other(self, method: str, path: str) -> Match | None:
        """Try the paths with several parameters, or with one of several steps."""
        for pattern, known in self._others:
            if found := pattern.fullmatch(path):
                entry = known.entry(method)
                texts = (text.replace(_SLASH_IN_STEP, "/") for text in found.groups())
                converted = zip(entry.route.param_convertors.items(), texts, strict=True)
                return entry, {name: convertor.convert(text) for (name, convertor), text in converted}
        return None


def _steps(path: str, raw_path: bytes) -> str:
    """Return a path in which an encoded slash is not one that ends a step."""
    if b"%2" not in raw_path:
        return path
    return unquote(_ENCODED_SLASH.sub(b"%00", raw_path.partition(b"?")[0]).decode("latin-1"))
