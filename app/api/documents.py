"""Documents in bodies that are read by their types: within the limits of bodies, though nothing walked the whole."""

from typing import Any, Final

from pydantic_core import to_json

from app.api.rows import MAX_DOCUMENT_BYTES
from app.domain.json_text import JsonText
from app.web.body import BodyRules, walk

RULES: Final = BodyRules(max_depth=56)
"""A document stands at most six levels deep in a body, which may have 64."""
_SHORT: Final = 2 * RULES.max_depth
"""A document of so few bytes is within all rules: each level takes two of them, and a longer key would be more."""


def check_document(value: Any) -> Any:
    """Check what a body holds besides fields: its depth, its keys, and the length that a document alone may have."""
    if isinstance(value, dict | list | str):
        _check(value, len(to_json(value)))
    return value


def document_text(value: Any) -> JsonText:
    """Do what `json_text` does, and check the document by the bytes that it writes."""
    encoded = to_json(value)
    _check(value, len(encoded))
    return JsonText(encoded.decode())


def _check(value: Any, length: int) -> None:
    if length > _SHORT:
        if length > MAX_DOCUMENT_BYTES:
            raise ValueError("a long document")
        walk(value, RULES)
