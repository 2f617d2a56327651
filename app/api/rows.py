"""Rows of a batch, validated independently: an invalid row becomes a problem in its place, and the others proceed."""

from typing import Any, Final

from pydantic import ValidationError, ValidatorFunctionWrapHandler

from app.domain.errors import InvalidError
from app.web.body import check_text
from app.web.framework_errors import invalid

MAX_ROWS: Final = 1000


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


def text_errors(body: bytes, rows: list[Any]) -> list[InvalidError | None]:
    """Return an error for each row that contains a NUL, which PostgreSQL cannot store. Only an escape can write one, so
    most batches are not searched.
    """
    if b"\\u0000" not in body:
        return [None] * len(rows)
    return [_text_error(row) for row in rows]


def _text_error(row: object) -> InvalidError | None:
    try:
        check_text(row)
    except InvalidError as error:
        return error
    return None
