"""The Idempotency-Key of a call: what makes its repeat harmless."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from fastapi import Depends, Request

from app.domain.errors import MalformedError
from app.domain.idempotency import Idempotency
from app.web.deps import principal

_VISIBLE: Final = re.compile(r"[!-~]{1,255}")
_FORM: Final = '^("[!-~]{1,255}"|[!#-~][!-~]{0,254}|"([!-~]{0,253}[!#-~])?)$'
"""The header as it is sent: in quotes, or bare, which is to have no quotes at both ends."""

KEY_PARAMETER: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes the request safe to repeat for 24 hours, or until its project has used a million newer keys: "
    "it takes effect once. A repeat is answered with "
    "`Idempotency-Replayed: true`, and with what the request is about as it is now; another request with the same key "
    "is refused. 1 to 255 visible ASCII characters, which may be in quotes.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257, "pattern": _FORM},
}
"""How an operation declares the header."""

REPLAYED: Final[Mapping[str, str]] = {"Idempotency-Replayed": "true"}
"""Marks the response to a repeated request."""


def replayed_headers(replayed: bool) -> dict[str, str]:
    """Return the headers that say whether a response is that of a repeated request."""
    return dict(REPLAYED) if replayed else {}


def idempotency_of(request: Request) -> Idempotency | None:
    """Read Idempotency-Key, bare or quoted, and take the fingerprint of what it is for: path, query, body and queues.

    The body of a route that streams it, or takes none, is not in it.
    """
    return _idempotency_of(request, getattr(request, "_json", None))


def idempotency_of_ending(request: Request) -> Idempotency | None:
    """Read the key of a worker's call: what it claims besides is no part of what makes a repeat the same call."""
    body = getattr(request, "_json", None)
    if isinstance(body, dict) and "claim" in body:
        body = {name: value for name, value in body.items() if name != "claim"}
    return _idempotency_of(request, body)


def _idempotency_of(request: Request, body: Any) -> Idempotency | None:
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    key = values[0]
    if len(key) > 1 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]
    if len(values) > 1 or not _VISIBLE.fullmatch(key):
        raise MalformedError("An Idempotency-Key is one value of 1 to 255 visible ASCII characters.")
    path, query, queues = request.url.path, request.scope["query_string"], principal(request).queues
    # A key limited to queues asks for something else: what another one claimed or created may be of other queues.
    more = [*([query.decode("latin-1")] if query else []), *([sorted(queues)] if queues is not None else [])]
    # Sorted and bare of white space: a client that builds its body anew must not seem to ask for something else.
    canonical = json.dumps([path, body, *more], sort_keys=True, separators=(",", ":")).encode()
    return Idempotency(f"{request.method} {path}", key, hashlib.sha256(canonical).digest())


IdempotencyKey: TypeAlias = Annotated[Idempotency | None, Depends(idempotency_of)]
"""A route's parameter for the key. It is read before the body is validated."""
EndingKey: TypeAlias = Annotated[Idempotency | None, Depends(idempotency_of_ending)]
"""The same for a worker's call that may claim the next jobs."""
