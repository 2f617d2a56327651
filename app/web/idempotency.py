"""The Idempotency-Key of a call: what makes its repeat harmless."""

import hashlib
import json
import re
from typing import Any

from fastapi import Request

from app.domain.errors import MalformedError
from app.domain.job import Idempotency

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


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
