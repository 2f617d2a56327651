"""What schemathesis loads: short waits, since the whole run is bounded, and a new Idempotency-Key for each request."""

from typing import Any
from uuid import uuid4

import schemathesis


def _capped(values: Any) -> None:
    if isinstance(values, dict) and isinstance(wait := values.get("wait"), int | float) and not 0 <= wait <= 1:
        values["wait"] = 1


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Cap the wait of a request, and make its key its own."""
    del context, kwargs
    _capped(case.query)
    _capped(case.body)
    if case.headers:
        case.headers.pop("Prefer", None)
        # A key that another case has used for something else is refused, as it must be.
        if (key := case.headers.get("Idempotency-Key")) and len(key) < 200:
            case.headers["Idempotency-Key"] = key + uuid4().hex
