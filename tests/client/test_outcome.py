"""What of a handler's exception is sent: always something that the service takes."""

import json
from typing import Any

import pytest

from jobtrack_client import Fail
from jobtrack_client.limits import NAME_CHARACTERS, TEXT_CHARACTERS
from jobtrack_client.outcome import fields_of
from jobtrack_client.text import lines_of, plain


class MuteError(Exception):
    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


class OddText(str):
    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        raise AssertionError


class OddError(Exception):
    def __str__(self) -> str:
        return OddText("odd")


class NoTextError(Exception):
    __str__ = Exception.__reduce__  # type: ignore[assignment]


class Forgetful(Fail):
    def __init__(self) -> None:
        pass


class Stubborn(Fail):
    """Nothing that an exception does while it is read may end the worker, as SystemExit ends the event loop."""

    @property
    def retryable(self) -> bool:
        raise SystemExit

    @retryable.setter
    def retryable(self, _: object) -> None:
        pass


class Undecided:
    def __bool__(self) -> bool:
        raise SystemExit

    __float__ = __bool__


class UntraceableError(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise SystemExit


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("no such thing"), "value_error", "no such thing"),
        (ValueError(), "value_error", "ValueError"),
        (ValueError("caf\udce9.txt"), "value_error", "caf\\udce9.txt"),
        (ValueError("bad \x00 byte"), "value_error", "bad \\x00 byte"),
        (SystemExit(3), "system_exit", "SystemExit(3)"),
        (KeyboardInterrupt(), "keyboard_interrupt", "KeyboardInterrupt()"),
        (GeneratorExit(), "generator_exit", "GeneratorExit()"),
        (MuteError(), "mute_error", "<MuteError that cannot be shown>"),
        (NoTextError(), "no_text_error", "<NoTextError that cannot be shown>"),
        (OddError(), "odd_error", "odd"),
        (Fail("busy", "later"), "busy", "later"),
        (Fail("", "x"), "fail", "x"),
        (Fail("\x00", "\ud800"), "\\x00", "\\ud800"),
        (Fail("odd", ValueError("why")), "odd", "why"),  # type: ignore[arg-type]
        (Fail(404, None), "404", "None"),  # type: ignore[arg-type]
        (Forgetful(), "forgetful", "Forgetful"),
        (Stubborn("busy", "later"), "busy", "later"),
        (BaseExceptionGroup("both", [SystemExit(1), ValueError()]), "base_exception_group", None),
    ],
)
def test_code_and_message_are_what_can_be_told(error: BaseException, code: str, message: str | None) -> None:
    fields = fields_of(error)
    assert fields["code"] == code
    assert message is None or fields["message"] == message
    assert fields["retryable"] is True
    json.dumps(fields, ensure_ascii=False).encode()


def test_long_texts_are_cut() -> None:
    fields = fields_of(Fail("c" * 1000, "m" * 5000))
    assert (len(fields["code"]), len(fields["message"])) == (NAME_CHARACTERS, TEXT_CHARACTERS)
    assert len(fields_of(type("E" * 1000, (Exception,), {})("m" * 5000))["code"]) == NAME_CHARACTERS


@pytest.mark.parametrize(
    ("delay", "sent"),
    [
        (None, None),
        (7, 7.0),
        (-1, 0.0),
        (10**6, 604_800.0),
        (float("inf"), 604_800.0),
        (float("nan"), None),
        (10**400, None),
        ("soon", None),
        ("5", 5.0),
        (Undecided(), None),
    ],
)
def test_a_delay_is_moved_into_its_bounds(delay: Any, sent: float | None) -> None:
    assert fields_of(Fail("busy", "later", retry_after_seconds=delay))["retry_after_seconds"] == sent


@pytest.mark.parametrize(("retryable", "sent"), [(True, True), (False, False), (0, False), (Undecided(), True)])
def test_retryable_is_a_boolean(retryable: Any, sent: bool) -> None:
    assert fields_of(Fail("busy", "later", retryable=retryable))["retryable"] is sent


def test_a_traceback_ends_with_its_cause_whatever_the_error_says() -> None:
    assert lines_of(ValueError("caf\udce9"), 4000) == "ValueError: caf\\udce9\n"
    assert "str() failed" in lines_of(MuteError(), 4000)
    assert len(lines_of(ValueError("x" * 9000), 4000)) == 4000
    assert lines_of(UntraceableError("untold"), 4000) == "untold"


def test_plain_text_is_sent_as_it_is() -> None:
    assert plain("früh 🐘\n") == "früh 🐘\n"
