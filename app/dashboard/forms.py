"""Forms that pages send: read within bounds, as plain fields of text."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from fastapi import Request

from app.domain.errors import InvalidError, MalformedError, UnsupportedMediaTypeError
from app.web.body import BodyRules, read_bytes

_RULES: Final = BodyRules(max_bytes=2 * 1024 * 1024)
MAX_FIELDS: Final = 2_000


async def read_form(request: Request) -> Mapping[str, list[str]]:
    """Read the fields of a form, each with all of its values."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise UnsupportedMediaTypeError("A form is sent as application/x-www-form-urlencoded.")
    body = await read_bytes(request, _RULES)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise MalformedError("The form cannot be read.") from None
    if any("\x00" in value for values in fields.values() for value in values):
        raise MalformedError("A form may hold no NUL.")
    return fields


def text_of(form: Mapping[str, list[str]], name: str) -> str:
    """Return a field without blanks around it, empty if it was not sent."""
    return form.get(name, [""])[-1].strip()


def faults_of(error: InvalidError, *fields: str) -> dict[str, str]:
    """Return what is wrong by the name of the field; under no name what belongs to none of these fields."""
    found: dict[str, str] = {}
    for fault in error.errors:
        name = fault.pointer.removeprefix("/")
        found.setdefault(name if name in fields else "", fault.message)
    return found or {"": error.message}
