"""Request headers of the native API: entity tags, and the preference to wait."""

import re
from typing import Final

from fastapi import Request

from app.web.conditions import names_tag

MAX_WAIT_SECONDS: Final = 50
"""Below 60 s, the idle timeout of common proxies."""

_WAIT_PREFERENCE = re.compile(r'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE | re.ASCII)


def etag_of(version: int) -> bytes:
    """Write a job's version as an entity tag. Strong: a body depends on its version alone."""
    return b'"%d"' % version


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
