"""What schemathesis loads: short waits, since the whole run is bounded, and a new Idempotency-Key for each request."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import schemathesis

LONGEST_NAME_BYTES = 256
"""Of any property of any body: a rule of the JSON that is taken (tests/api/test_corpus.py), which no schema repeats."""


LONGEST_WAIT = 2**31 - 1
"""Seconds that a call may ask for, and -1 for as many. It gets 50 of them, and a request here may take 30."""


def _capped(values: Any) -> None:
    if not isinstance(values, dict):
        return
    wait = values.get("wait")
    if isinstance(wait, str):
        # Of a query. One that is refused stays as it is.
        wait = int(wait) if re.fullmatch(r"-1|[0-9]{1,10}", wait) and int(wait) <= LONGEST_WAIT else 0
    if isinstance(wait, int | float) and not 0 <= wait <= 1:
        values["wait"] = 1


def _names(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        yield from body
        for value in body.values():
            yield from _names(value)
    elif isinstance(body, list):
        for value in body:
            yield from _names(value)


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """Leave out bodies with a property whose name is too long."""
    del context
    return all(len(name.encode("utf-8", "replace")) <= LONGEST_NAME_BYTES for name in _names(body))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Cap the wait of a request, make its key its own, and leave the API key out where it is to be missing."""
    del context
    _capped(case.query)
    _capped(case.body)
    if case.headers:
        case.headers.pop("Prefer", None)
        # A key that another case has used for something else is refused, as it must be.
        if (key := case.headers.get("Idempotency-Key")) and len(key) < 200:
            case.headers["Idempotency-Key"] = key + uuid4().hex
    # The command line's header goes with every request, with those as well whose point is that they have none.
    tested = getattr(case.meta and case.meta.phase.data, "parameter", None)
    scenario = getattr(case.meta and case.meta.phase.data, "scenario", None)
    if tested == "Authorization" and getattr(scenario, "value", None) == "missing_parameter":
        for headers in (case.headers, kwargs.get("headers")):
            if headers:
                headers.pop("Authorization", None)
