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
RETENTION: Final = (60, (2**53 - 1) // 1_000_000)
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
    unit = UNITS.get(text_of(form, "unit"), 1)
    length = _number(form, "length", (1, RETENTION[1] // unit))
    seconds = None if length is None else int(length) * unit
    if seconds is not None and seconds < RETENTION[0]:
        raise _fault("length", f"This is {RETENTION[0]} seconds at least.")
    return replace(rules, retention_seconds=seconds)


def _retention_fields(rules: QueueRules) -> dict[str, str]:
    seconds = rules.retention_seconds
    if seconds is None:
        return {"length": "", "unit": "days"}
    unit = next((unit for unit, size in reversed(UNITS.items()) if seconds % size == 0), "seconds")
    return {"length": str(seconds // UNITS.get(unit, 1)), "unit": unit}


RULES: Final = {
    rule.name: rule
    for rule in (
        RuleForm("limit", _read_limit, _limit_fields, "The limit is set. It applies within a second."),
        RuleForm("retry", _read_retry, _retry_fields, "The retries are set, for jobs that are created from now on."),
        RuleForm("retention", _read_retention, _retention_fields, "It is set how long ended jobs are kept."),
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
