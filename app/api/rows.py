"""Rows of a batch, validated independently: an invalid row becomes a problem in its place, and the others proceed."""

from typing import Any, Final

from fastapi import Request
from pydantic import ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import to_json

from app.domain.errors import InvalidError
from app.domain.field_error import FieldError
from app.web.binding import TYPED_BODY
from app.web.body import MIB, check_text
from app.web.framework_errors import invalid

MAX_ROWS: Final = 1000
MAX_DOCUMENT_BYTES: Final = MIB
"""What a job alone may bring as well, whose whole body is no longer."""
DOCUMENTS: Final = ("payload", "result", "billing", "checkpoint")


class BadRow:
    """An invalid row, with its error."""

    def __init__(self, raw: object, error: InvalidError) -> None:
        job_id = raw.get("job_id") if isinstance(raw, dict) else None
        self.job_id = job_id if isinstance(job_id, str) and len(job_id) <= 255 else None
        self.error = error


def judge_alone(value: object, validate: ValidatorFunctionWrapHandler) -> Any:
    """Validate a row; an invalid one becomes a `BadRow`."""
    try:
        return validate(value)
    except ValidationError as error:
        # Where rows have an action, each location begins with it, though it is not part of the row's path.
        tagged = isinstance(value, dict) and error.errors()[0]["loc"][:1] == (value.get("action"),)
        return BadRow(value, invalid([{**e, "loc": e["loc"][tagged:]} for e in error.errors()]))


async def row_errors(request: Request, name: str, count: int) -> list[InvalidError | None]:
    """Return an error for each of the rows called `name` that validation of its fields alone does not find wrong: one
    that contains a NUL, which PostgreSQL cannot store, or a document that no other route would take.

    Only an escape can write a NUL, and only a long body holds a long document, so most batches are not searched. Of
    what was read by its types both are known.
    """
    body = await request.body()
    has_escape, is_long = b"\\u0000" in body, len(body) > MAX_DOCUMENT_BYTES
    if (not has_escape and not is_long) or request.scope.get(TYPED_BODY) is not None:
        return [None] * count
    rows = (await request.json())[name]
    return [(_text_error(row) if has_escape else None) or (_size_error(row) if is_long else None) for row in rows]


def _text_error(row: object) -> InvalidError | None:
    try:
        check_text(row)
    except InvalidError as error:
        return error
    return None


def _size_error(row: object) -> InvalidError | None:
    if not isinstance(row, dict):
        return None
    for name in DOCUMENTS:
        if name in row and len(to_json(row[name])) > MAX_DOCUMENT_BYTES:
            sentence = f"Should have at most {MAX_DOCUMENT_BYTES} bytes of JSON."
            return InvalidError([FieldError(f"/{name}", f"{name}_too_long", sentence)])
    return None
