"""Opaque cursors: where the next page begins, bound to what was listed and how it was filtered.

The seal of a cursor is no secret, so anybody can write one for any place. A place that no page of the list can have
ended at is refused here like every other cursor that the service did not make: as `invalid_cursor`, whatever is wrong
with it, its length among it.
"""

import base64
import binascii
import hashlib
from typing import Annotated, Final, TypeAlias
from uuid import UUID

from pydantic import Field

from app.domain.errors import InvalidError
from app.domain.field_error import FieldError

_POSITION_BYTES: Final = 16
"""Room for a UUID, or for a transaction and a row of it."""
_EPOCH_BYTES: Final = 8
_SEAL_BYTES: Final = 8
_MAX_NAME: Final = 255
"""The longest name of anything, in characters."""
MAX_LENGTH: Final = 64
MAX_NAME_LENGTH: Final = -(-(4 * _MAX_NAME + _SEAL_BYTES) * 8 // 6)
"""In Base64, with four bytes for each character of the name."""
MAX_ROW: Final = 2**63 - 1
"""The highest position that is a number of the database's."""
QUERY: Final = "?cursor"
"""Where a cursor mostly comes from: how an error names the place."""

CursorText: TypeAlias = Annotated[str, Field(json_schema_extra={"maxLength": MAX_LENGTH})]
"""A cursor in a request. Its bounds are declared here and judged with all the rest by what reads it."""
NameCursorText: TypeAlias = Annotated[str, Field(json_schema_extra={"maxLength": MAX_NAME_LENGTH})]
"""The same for lists in the order of names."""


class InvalidCursorError(InvalidError):
    """The cursor is none of ours, or belongs to another list or filter. `pointer` is the place that it came in."""

    code = "invalid_cursor"

    def __init__(self, pointer: str = QUERY) -> None:
        sentence = "The cursor does not belong to this list with this filter."
        super().__init__([FieldError(pointer, self.code, sentence)])


def write_cursor(position: int, *bound: str) -> str:
    """Write a cursor for a position in the list that `bound` names."""
    return _write(position.to_bytes(_POSITION_BYTES, "big"), bound)


def read_cursor(cursor: str, *bound: str, most: int, pointer: str = QUERY) -> int:
    """Read the position in a cursor that was made for the same list and filter; `most` is the highest there may be."""
    place = _read(cursor, bound, MAX_LENGTH, pointer)
    position = int.from_bytes(place, "big")
    if len(place) != _POSITION_BYTES or position > most:
        raise InvalidCursorError(pointer)
    return position


def write_epoch_cursor(position: int, epoch: int, *bound: str) -> str:
    """Write a cursor for a position that counts in an epoch only. One of epoch 0 has none, like those of old."""
    counted = epoch.to_bytes(_EPOCH_BYTES, "big") if epoch else b""
    return _write(position.to_bytes(_POSITION_BYTES, "big") + counted, bound)


def read_epoch_cursor(cursor: str, *bound: str, most: int, pointer: str = QUERY) -> tuple[int, int]:
    """Read the position in a cursor and its epoch."""
    place = _read(cursor, bound, MAX_LENGTH, pointer)
    position, epoch = (int.from_bytes(part, "big") for part in (place[:_POSITION_BYTES], place[_POSITION_BYTES:]))
    has_one_form = len(place) == _POSITION_BYTES + (_EPOCH_BYTES if epoch else 0)
    if not has_one_form or position > most or epoch > MAX_ROW:
        raise InvalidCursorError(pointer)
    return position, epoch


def read_id_cursor(cursor: str, *bound: str, pointer: str = QUERY) -> UUID:
    """Read the id in a cursor that was made for the same list and filter: one that the service can have made."""
    place = UUID(int=read_cursor(cursor, *bound, most=2**128 - 1, pointer=pointer))
    if place.version != 7:
        raise InvalidCursorError(pointer)
    return place


def write_name_cursor(name: str, *bound: str) -> str:
    """Write a cursor for the position after a name."""
    return _write(name.encode(), bound)


def read_name_cursor(cursor: str, *bound: str, pointer: str = QUERY) -> str:
    """Read the name in a cursor that was made for the same list: one that something can be called."""
    try:
        name = _read(cursor, bound, MAX_NAME_LENGTH, pointer).decode()
    except UnicodeDecodeError:
        raise InvalidCursorError(pointer) from None
    if not 0 < len(name) <= _MAX_NAME or "\x00" in name:
        raise InvalidCursorError(pointer)
    return name


def _write(place: bytes, bound: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(place + _seal(place, bound)).rstrip(b"=").decode()


def _read(cursor: str, bound: tuple[str, ...], max_length: int, pointer: str) -> bytes:
    """Read the place in a cursor under the seal of the same list."""
    if len(cursor) > max_length or not cursor.isascii():
        raise InvalidCursorError(pointer)
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCursorError(pointer) from None
    place = raw[:-_SEAL_BYTES]
    # Base64 has spare bits at its end; only the one spelling that is written here is right.
    if _write(place, bound) != cursor:
        raise InvalidCursorError(pointer)
    return place


def _seal(place: bytes, bound: tuple[str, ...]) -> bytes:
    """Bind a position to its list.

    No secret is needed: the list is checked against the caller's project anyway, so a forged position reaches nothing
    that an honest one does not. What the seal catches is a cursor used with another filter, and a flipped bit.
    """
    return hashlib.blake2b(place + "\x00".join(bound).encode(), digest_size=_SEAL_BYTES, person=b"jobtrack").digest()
