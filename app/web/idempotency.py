"""The Idempotency-Key of a call: what makes its repeat harmless."""

import hashlib
import json
import re
from typing import Any

from fastapi import Request

from app.domain.errors import MalformedError
from app.domain.job import Idempotency
from app.web.deps import principal

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


async def idempotency_of(request: Request) -> Idempotency | None:
    """Read Idempotency-Key, bare or quoted, and take the fingerprint of what it is for: body, path and queues."""
    key = _key_of(request)
    if key is None:
        return None
    # Sorted and bare of white space: a client that builds its body anew must not seem to ask for something else.
    body: Any = await request.json() if await request.body() else None
    return _asked(request, key, body)


def idempotency_of_upload(request: Request) -> Idempotency | None:
    """Read Idempotency-Key of a body that is streamed: it is not held, so the path alone says what it is for."""
    key = _key_of(request)
    return None if key is None else _asked(request, key, None)


def _key_of(request: Request) -> str | None:
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    key = values[0]
    if len(key) > 2 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]
    if len(values) > 1 or not _VISIBLE.fullmatch(key):
        raise MalformedError("An Idempotency-Key is one value of 1 to 255 visible ASCII characters.")
    return key


def _asked(request: Request, key: str, body: Any) -> Idempotency:
    path, queues = request.url.path, principal(request).queues
    # A key limited to queues asks for something else: what another one claimed or created may be of other queues.
    limits = [] if queues is None else [sorted(queues)]
    canonical = json.dumps([path, body, *limits], sort_keys=True, separators=(",", ":")).encode()
    return Idempotency(f"{request.method} {path}", key, hashlib.sha256(canonical).digest())
