"""Headers of the native API: entity tags, the preference to wait, and why a wait ended."""

import re
from typing import Any, Final

from fastapi import Request

from app.core.waits import EndedBy
from app.web.conditions import names_tag

MAX_WAIT_SECONDS: Final = 50
"""Below 60 s, the idle timeout of common proxies."""

WAIT_ENDED: Final[dict[str, Any]] = {
    "Jobtrack-Wait-Ended": {
        "description": "Why the wait of the request ended: its condition holds, its time is over, or the service is "
        "shutting down, usually to be restarted: send the request again.",
        "schema": {"type": "string", "enum": [*EndedBy]},
    }
}
"""A body depends on the version alone, so that a GET can say it only here."""

_WAIT_PREFERENCE = re.compile(r'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE | re.ASCII)


def etag_of(version: int) -> bytes:
    """Write a job's version as an entity tag. Strong: a body depends on its version alone."""
    return b'"%d"' % version


def wait_ended(ended_by: EndedBy) -> tuple[bytes, bytes]:
    """Write why a wait ended."""
    return b"jobtrack-wait-ended", ended_by.encode()


def known_version(request: Request, version: int) -> bool:
    """Whether If-None-Match names this version."""
    return names_tag(request.headers, str(version))


def preferred_wait(request: Request) -> int | None:
    """Read `Prefer: wait=N` or `respond-async`; anything else is ignored, as RFC 7240 requires."""
    value = ",".join(request.headers.getlist("prefer"))
    for part in value.split(",") if value else ():
        preference = part.partition(";")[0].strip()
        match = _WAIT_PREFERENCE.fullmatch(preference)
        if match:
            return int(match[1])
        if preference.lower() == "respond-async":
            return 0
    return None


def wait_seconds(seconds: int | None) -> int:
    """Return the wait of a GET, in seconds: -1 (no limit) and larger values become `MAX_WAIT_SECONDS`."""
    if seconds is None:
        return 0
    return MAX_WAIT_SECONDS if seconds < 0 else min(seconds, MAX_WAIT_SECONDS)
