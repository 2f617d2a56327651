"""Errors as sentences: what they name, and what they keep to themselves."""

from app.domain.errors import InvalidError
from app.domain.field_error import MAX_FAULT, MAX_PLACE, FieldError


def fault(pointer: str, message: str = "Field required") -> FieldError:
    return FieldError(pointer, "missing", message)


def test_message_names_the_first_fault_and_how_many_more() -> None:
    faults = [fault("/items/3/key"), fault("/priority", "It is too large.")]
    assert InvalidError(faults[:1]).message == "/items/3/key: Field required."
    assert InvalidError(faults).message == "/items/3/key: Field required (and 1 more)."
    assert InvalidError(faults[1:], 1000).message == "/priority: It is too large (and 999 more)."
    assert InvalidError("No item of this job failed.").message == "No item of this job failed."


def test_every_place_has_a_name() -> None:
    places = ("", "?", "?limit", "header:Idempotency-Key", "path:queue", "/a:b")
    assert [InvalidError([fault(place)]).message.removesuffix(": Field required.") for place in places] == [
        "The body",
        "The query",
        "?limit",
        "Header Idempotency-Key",
        "Path queue",
        "/a:b",
    ]


def test_message_is_one_short_line_whatever_the_caller_has_named() -> None:
    """The names of fields are the caller's: they may be long, break lines, colour terminals, or be half a character."""
    for name in ("k" * 500_000, "a\nb", "\x1b[31m", "\ud800", "\u202e", "\x00"):
        message = InvalidError([fault(f"/payload/{name}", "m" * 5_000)]).message
        assert message.isprintable()
        assert len(message) <= MAX_PLACE + MAX_FAULT + 20
