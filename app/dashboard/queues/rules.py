"""The rules of a queue as forms: each changes one rule and keeps the others. The bounds are the API's."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeAlias

from app.dashboard.forms import text_of
from app.domain.errors import InvalidError
from app.domain.field_error import FieldError
from app.domain.job import Retry
from app.domain.queue import QueueRules

Form: TypeAlias = Mapping[str, list[str]]

MOST_REASON: Final = 1_000
LIMIT: Final = (1, 1_000_000)
DELAY: Final = (0.0, 86_400.0)
FACTOR: Final = (1.0, 100.0)
MAX_DELAY: Final = (0.0, 604_800.0)
RETENTION: Final = (0, (2**53 - 1) // 1_000_000)
LEAST_KEPT: Final = 60
"""Seconds, if it is not 0."""
EXPECTED: Final = (1, 31_536_000)
UNITS: Final = {"minutes": 60, "hours": 3_600, "days": 86_400}
UNIT_CHOICES: Final = [(unit, unit) for unit in ("seconds", *UNITS)]
_DECIMAL: Final = re.compile(r"\d{1,12}(\.\d{1,24})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RuleForm:
    """One rule: its name, which is that of its form and of its template, and how both are read."""

    name: str
    read: Callable[[Form, QueueRules], QueueRules]
    """Returns the rules with this one as the form says; raises InvalidError with the fields that are wrong."""
    fields: Callable[[QueueRules], dict[str, str]]
    """Returns what the fields of the form show."""
    sentence: str
    """What the page says when it is set."""


def _read_limit(form: Form, rules: QueueRules) -> QueueRules:
    limit = _number(form, "limit", LIMIT)
    return replace(rules, concurrency_limit=None if limit is None else int(limit))


def _limit_fields(rules: QueueRules) -> dict[str, str]:
    return {"limit": "" if rules.concurrency_limit is None else str(rules.concurrency_limit)}


def _read_retry(form: Form, rules: QueueRules) -> QueueRules:
    delay, factor, most = (
        _number(form, name, bounds, decimals=True)
        for name, bounds in (("delay", DELAY), ("factor", FACTOR), ("max_delay", MAX_DELAY))
    )
    if delay is None and factor is None and most is None:
        return replace(rules, retry=None)
    default = Retry()
    return replace(
        rules,
        retry=Retry(
            # To microseconds, as the API does it: a part of a shorter time is too small for PostgreSQL.
            default.delay_seconds if delay is None else round(delay, 6),
            default.factor if factor is None else factor,
            default.max_delay_seconds if most is None else round(most, 6),
        ),
    )


def _retry_fields(rules: QueueRules) -> dict[str, str]:
    retry = rules.retry
    if retry is None:
        return {"delay": "", "factor": "", "max_delay": ""}
    return {
        "delay": _decimal(retry.delay_seconds),
        "factor": _decimal(retry.factor),
        "max_delay": _decimal(retry.max_delay_seconds),
    }


def _read_retention(form: Form, rules: QueueRules) -> QueueRules:
    return replace(rules, retention_seconds=_kept(form, ""), retention_failed_seconds=_kept(form, "failed_"))


def _kept(form: Form, which: str) -> int | None:
    """Read how long jobs are kept: 0 is for ever, None the service's default."""
    unit = UNITS.get(text_of(form, f"{which}unit"), 1)
    length = _number(form, f"{which}length", (0, RETENTION[1] // unit))
    seconds = None if length is None else int(length) * unit
    if seconds and seconds < LEAST_KEPT:
        raise _fault(f"{which}length", f"This is {LEAST_KEPT} seconds at least, or 0, for ever.")
    return seconds


def _retention_fields(rules: QueueRules) -> dict[str, str]:
    failed = _kept_fields(rules.retention_failed_seconds)
    return _kept_fields(rules.retention_seconds) | {f"failed_{name}": text for name, text in failed.items()}


def _kept_fields(seconds: int | None) -> dict[str, str]:
    if not seconds:
        return {"length": "" if seconds is None else "0", "unit": "days"}
    unit = next((unit for unit, size in reversed(UNITS.items()) if seconds % size == 0), "seconds")
    return {"length": str(seconds // UNITS.get(unit, 1)), "unit": unit}


def _read_expected(form: Form, rules: QueueRules) -> QueueRules:
    unit = UNITS.get(text_of(form, "expected_unit"), 1)
    length = _number(form, "expected", (1, EXPECTED[1] // unit))
    return replace(rules, expected_seconds=None if length is None else int(length) * unit)


def _expected_fields(rules: QueueRules) -> dict[str, str]:
    shown = _kept_fields(rules.expected_seconds)
    return {"expected": shown["length"], "expected_unit": shown["unit"]}


RULES: Final = {
    rule.name: rule
    for rule in (
        RuleForm("limit", _read_limit, _limit_fields, "The limit is set. It applies within a second."),
        RuleForm("retry", _read_retry, _retry_fields, "The retries are set, for jobs that are created from now on."),
        RuleForm("retention", _read_retention, _retention_fields, "It is set how long ended jobs are kept."),
        RuleForm("expected", _read_expected, _expected_fields, "It is set when a job is overdue that is created now."),
    )
}


def reason_of(form: Form) -> str | None:
    """Read why a queue is paused; None if nothing is said."""
    reason = text_of(form, "reason")
    if len(reason) > MOST_REASON:
        raise _fault("reason", f"This takes {MOST_REASON:,} characters at most.")
    return reason or None


def _number(form: Form, name: str, bounds: tuple[float, float], *, decimals: bool = False) -> float | None:
    text = text_of(form, name)
    if not text:
        return None
    least, most = bounds
    value = float(text) if _DECIMAL.fullmatch(text) else None
    if value is None or not least <= value <= most or not (decimals or value.is_integer()):
        kind = "number" if decimals else "whole number"
        raise _fault(name, f"This is a {kind} from {least:,.12g} to {most:,.12g}.")
    return value


def _decimal(value: float) -> str:
    """Write a number as the form reads it: without an exponent, and without a point where nothing is behind it."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _fault(field: str, sentence: str) -> InvalidError:
    return InvalidError([FieldError(f"/{field}", "invalid", sentence)])
