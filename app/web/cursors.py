"""Opaque cursors: where the next page begins, bound to what was listed and how it was filtered."""

import base64
import binascii
import hashlib
from typing import Final

from app.domain.errors import FieldError, InvalidError

_POSITION_BYTES: Final = 16
"""Room for a UUID, or for a transaction and a row of it."""
_SEAL_BYTES: Final = 8
MAX_LENGTH: Final = 64
MAX_ROW: Final = 2**63 - 1
"""The highest position that is a number of the database's."""


class InvalidCursorError(InvalidError):
    """The cursor is none of ours, or belongs to another list or filter."""

    code = "invalid_cursor"

    def __init__(self, name: str = "cursor") -> None:
        sentence = "The cursor does not belong to this list with this filter."
        super().__init__(sentence, (FieldError(f"?{name}", self.code, sentence),))


def write_cursor(position: int, *bound: str) -> str:
    """Make a cursor for a position in the list that `bound` names."""
    place = position.to_bytes(_POSITION_BYTES, "big")
    return base64.urlsafe_b64encode(place + _seal(place, bound)).rstrip(b"=").decode()


def read_cursor(cursor: str, *bound: str, name: str = "cursor", most: int = 2**128 - 1) -> int:
    """Give the position in a cursor that was made for the same list and filter, and came in the parameter `name`.

    `most` is the highest position that there may be: the seal is no secret, so anybody can write any.
    """
    if len(cursor) > MAX_LENGTH or not cursor.isascii():
        raise InvalidCursorError(name)
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCursorError(name) from None
    place, seal = raw[:_POSITION_BYTES], raw[_POSITION_BYTES:]
    # Base64 has spare bits at its end; only the one spelling that we write is ours.
    if seal != _seal(place, bound) or write_cursor(int.from_bytes(place, "big"), *bound) != cursor:
        raise InvalidCursorError(name)
    position = int.from_bytes(place, "big")
    if position > most:
        raise InvalidCursorError(name)
    return position


def write_name_cursor(name: str, *bound: str) -> str:
    """Make a cursor for a place behind a name."""
    place = name.encode()
    return base64.urlsafe_b64encode(place + _seal(place, bound)).rstrip(b"=").decode()


def read_name_cursor(cursor: str, *bound: str) -> str:
    """Give the name in a cursor that was made for the same list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name = raw[:-_SEAL_BYTES].decode()
    except (binascii.Error, ValueError):
        raise InvalidCursorError from None
    if write_name_cursor(name, *bound) != cursor:
        raise InvalidCursorError
    return name


def _seal(place: bytes, bound: tuple[str, ...]) -> bytes:
    """Bind a position to its list.

    No secret is needed: the list is checked against the caller's project anyway, so a forged position reaches nothing
    that an honest one does not. What the seal catches is a cursor used with another filter, and a flipped bit.
    """
    return hashlib.blake2b(place + "\x00".join(bound).encode(), digest_size=_SEAL_BYTES, person=b"jobtrack").digest()
