"""The histograms of requests: by method, route template and class of status, without what a request only waited.

Waiting has a histogram of its own: within the other one, every 99th percentile would be the 50 seconds of a long poll.
"""

from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram
from starlette.types import Scope

# The buckets of the OpenTelemetry convention, and two below them: most answers take a few milliseconds.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
WAITS: Final = (0.1, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 50, 60, 120, 300, 600, 3_600)
MOST_SERIES: Final = 40
"""Histograms of requests that have labels of their own, of 3 KB each in `/metrics`; those that come later share one for
each class of status. A service is asked by a dozen or two in earnest, and by all there are only to make it grow.
"""
OTHER: Final = "other"
NO_ROUTE: Final = "none"
"""The route of whatever no route answers, static files among it: paths are chosen by clients."""
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetrics:
    """The histograms of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Histogram(
            "jobtrack_http_request_duration_seconds",
            "From a request's head to the head of its answer, without waiting for jobs or work.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=registry,
        )
        self._waits = Histogram(
            "jobtrack_long_poll_wait_seconds",
            "How long requests waited for jobs or work, those that had to.",
            ["route"],
            buckets=WAITS,
            registry=registry,
        )
        # The library's own look-up of a series costs as much as all the rest.
        self._known: dict[tuple[str, str, int], Any] = {}
        self._named: set[tuple[str, str, str]] = set()

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Record a request that was answered."""
        key = (scope["method"], _route(scope), status // 100)
        series = self._known.get(key)
        if series is None:
            method = key[0] if key[0] in METHODS else OTHER
            series = self._requests.labels(*self._labels(method, key[1], f"{key[2]}xx"))
            if method == key[0]:
                self._known[key] = series
        series.observe(seconds)

    def _labels(self, method: str, route: str, status: str) -> tuple[str, str, str]:
        labels = (method, route, status)
        if labels not in self._named and len(self._named) >= MOST_SERIES:
            return (OTHER, OTHER, status)
        self._named.add(labels)
        return labels

    def waited(self, scope: Scope, seconds: float) -> None:
        """Record how long a request waited."""
        self._waits.labels(_route(scope)).observe(seconds)


def _route(scope: Scope) -> str:
    route = scope.get("route")
    return NO_ROUTE if route is None else route.path
