"""How long handlers may run."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

MAX_RUN_SECONDS = 86_400.0


def limits_by_type(
    seconds: float | Mapping[str, float | None] | None, types: Collection[str]
) -> dict[str, float | None]:
    """Return the limit of each type. Raises `ValueError` for one that is not a positive number of seconds."""
    if isinstance(seconds, Mapping) and (unknown := seconds.keys() - set(types)):
        raise ValueError(f"max_run_seconds names types without a handler: {', '.join(sorted(unknown))}")
    limits = {name: seconds.get(name, MAX_RUN_SECONDS) if isinstance(seconds, Mapping) else seconds for name in types}
    for limit in limits.values():
        if limit is not None and not 0 < limit < math.inf:
            raise ValueError(f"max_run_seconds is a positive number of seconds, or None for no limit, not {limit!r}")
    return limits
