"""Whether a field can hold what a column of the schema holds."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, get_args, get_origin

from sqlalchemy import ARRAY, JSON, Column
from sqlalchemy.types import TypeEngine

from app.db.parameters import without_none


def fault_of(annotation: Any, column: Column[Any], *, absent: str | None = None) -> str | None:
    """Return what is wrong with reading a column into a field, None if nothing is.

    `absent` is set where a null of one column makes the whole object None: there a nullable one may fill a field that
    is never None.
    """
    plain, optional = without_none(annotation)
    if not _fits(plain, column.type):
        return f"{annotation} does not hold the {column.type!r} of {column}"
    if plain is Any or (absent and column.nullable) or optional == column.nullable:
        return None
    return f"{column} is {'nullable' if column.nullable else 'never null'}, which {annotation} is not"


def _fits(annotation: Any, kind: TypeEngine[Any]) -> bool:
    origin = get_origin(annotation) or annotation
    if origin is Annotated:
        return _fits(get_args(annotation)[0], kind)
    if isinstance(kind, JSON):
        return origin is Any or origin is dict
    if isinstance(kind, ARRAY):
        return origin in (Sequence, tuple, list, frozenset) and _fits(get_args(annotation)[0], kind.item_type)
    if isinstance(origin, type) and issubclass(origin, StrEnum):
        origin = str
    return origin is kind.python_type
