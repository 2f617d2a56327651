"""Idempotency-Keys, and the results of the calls that carry them."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The key that makes a call safe to repeat: the caller's key, in the scope of a route, for one request."""

    route: str
    key: str
    fingerprint: bytes

    def of_row(self, row: object) -> "Idempotency":
        """Return the key of one row of a call about many: rows are judged alone, and so are their repeats."""
        return replace(self, key=f"{self.key} #{row}")

    def of_caller(self, key_id: str) -> "Idempotency":
        """Return the key in the scope of the API key that sent it. For calls that hand out a lease: with the token of
        another's lease its jobs could be ended.
        """
        return replace(self, route=f"{self.route} {key_id}")

    def with_content(self, digest: bytes) -> "Idempotency":
        """Return the key for a request with this content, which was not known when its fingerprint was taken."""
        return replace(self, fingerprint=hashlib.sha256(self.fingerprint + digest).digest())


class Done(NamedTuple, Generic[Value]):
    """The result of a call. `replayed`: an earlier call under the same key had done it, and this one did nothing."""

    value: Value
    replayed: bool = False


class ContentDigest:
    """A digest of bytes that are streamed, for the fingerprint of their request.

    `boundary` is left out of it: a client chooses that of a form anew each time that it sends the form.
    """

    def __init__(self, boundary: bytes = b"") -> None:
        self._boundary = boundary
        self._rest = b""
        self._digest = hashlib.sha256()

    async def tap(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the chunks unchanged, and take the digest of them."""
        async for piece in chunks:
            self._update(piece)
            yield piece

    def _update(self, piece: bytes) -> None:
        if not self._boundary:
            self._digest.update(piece)
            return
        # The end of the piece may be the beginning of a boundary. What stands for one keeps its neighbours apart.
        content = (self._rest + piece).replace(self._boundary, b"\0")
        begun = len(content) - len(self._boundary) + 1
        self._digest.update(content[: max(begun, 0)])
        self._rest = content[max(begun, 0) :]

    def result(self) -> bytes:
        """Return the digest of what has come."""
        self._digest.update(self._rest)
        self._rest = b""
        return self._digest.digest()
