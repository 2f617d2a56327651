"""Headers of the native API: idempotency keys, entity tags, and the preference to wait."""

import hashlib
import json
import re
from typing import Any, Final

from fastapi import Request

from app.domain.errors import MalformedError
from app.domain.job import Idempotency

MAX_WAIT_SECONDS: Final = 50
"""Below the 60 s after which common proxies give up on a silent upstream."""

REPLAYED: Final = {"Idempotency-Replayed": "true"}
"""What marks the answer to a repeat."""

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
_WAIT_PREFERENCE = re.compile(r'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE | re.ASCII)


async def idempotency_of(request: Request) -> Idempotency | None:
    """Read Idempotency-Key, bare or quoted, and take the fingerprint of what it is for: body and path."""
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    key = values[0]
    if len(key) > 2 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]
    if len(values) > 1 or not _VISIBLE.fullmatch(key):
        raise MalformedError("An Idempotency-Key is one value of 1 to 255 visible ASCII characters.")
    path = request.url.path
    # Sorted and bare of white space: a client that builds its body anew must not seem to ask for something else.
    body: Any = await request.json() if await request.body() else None
    canonical = json.dumps([path, body], sort_keys=True, separators=(",", ":")).encode()
    return Idempotency(f"{request.method} {path}", key, hashlib.sha256(canonical).digest())


def etag_of(version: int) -> str:
    """Write a job's version as an entity tag. Strong: a body depends on its version alone."""
    return f'"{version}"'


def known_version(request: Request, version: int) -> bool:
    """Whether If-None-Match names this version. What is no entity tag matches nothing."""
    given = ",".join(request.headers.getlist("if-none-match"))
    return given.strip() == "*" or str(version) in _TAG.findall(given)


def preferred_wait(request: Request) -> int | None:
    """Read `Prefer: wait=N` or `respond-async`; what cannot be understood is ignored, as RFC 7240 wants."""
    for part in ",".join(request.headers.getlist("prefer")).split(","):
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
