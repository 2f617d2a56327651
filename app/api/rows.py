"""Rows of a batch: each is judged alone, so that a wrong one is a problem in its place and the others go on."""

from typing import Any, Final

from pydantic import ValidationError, ValidatorFunctionWrapHandler

from app.domain.errors import FieldError, InvalidError
from app.web.body import check_text
from app.web.errors import field_errors

MAX_ROWS: Final = 1000


class BadRow:
    """A row that is wrong, and why."""

    def __init__(self, raw: object, errors: tuple[FieldError, ...]) -> None:
        given = raw.get("job_id") if isinstance(raw, dict) else None
        self.job_id = given if isinstance(given, str) and len(given) <= 255 else None
        self.error = InvalidError("The row is not valid.", errors)


def judge_alone(value: object, validate: ValidatorFunctionWrapHandler) -> Any:
    """Validate a row; a wrong one becomes a `BadRow`."""
    try:
        return validate(value)
    except ValidationError as error:
        # Where rows have an action, each place begins with it, and it is no part of the row's path.
        tagged = isinstance(value, dict) and error.errors()[0]["loc"][:1] == (value.get("action"),)
        return BadRow(value, field_errors({**e, "loc": e["loc"][tagged:]} for e in error.errors()))


def text_errors(body: bytes, rows: list[Any]) -> list[InvalidError | None]:
    """Say which rows hold what PostgreSQL cannot store: a NUL. Only an escape can write one, so that most batches are
    not looked through again.
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
