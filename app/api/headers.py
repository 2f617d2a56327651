"""Request headers of the native API: entity tags, and the preference to wait."""

import re
from typing import Final

from fastapi import Request

MAX_WAIT_SECONDS: Final = 50
"""Below the 60 s after which common proxies give up on a silent upstream."""

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
_WAIT_PREFERENCE = re.compile(r'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE | re.ASCII)


def etag_of(version: int) -> bytes:
    """Write a job's version as an entity tag. Strong: a body depends on its version alone."""
    return b'"%d"' % version


def known_version(request: Request, version: int) -> bool:
    """Whether If-None-Match names this version. What is no entity tag matches nothing."""
    given = ",".join(request.headers.getlist("if-none-match"))
    return given.strip() == "*" or str(version) in _TAG.findall(given)


def preferred_wait(request: Request) -> int | None:
    """Read `Prefer: wait=N` or `respond-async`; what cannot be understood is ignored, as RFC 7240 wants."""
    given = ",".join(request.headers.getlist("prefer"))
    for part in given.split(",") if given else ():
        preference = part.partition(";")[0].strip()
        found = _WAIT_PREFERENCE.fullmatch(preference)
        if found:
            return int(found[1])
        if preference.lower() == "respond-async":
            return 0
    return None


def wait_seconds(asked: int | None) -> int:
    """Bring a wait to what one GET may take: -1, without end, and all that is too long become the most."""
    if asked is None:
        return 0
    return MAX_WAIT_SECONDS if asked < 0 else min(asked, MAX_WAIT_SECONDS)
