"""The forms of a queue's rules take what the API takes: the same bounds, and what they show they read back."""

from typing import Any

import pytest

from app.api.keys.wire import KeyIn
from app.api.queues.wire import QueueIn
from app.dashboard.keys import forms
from app.dashboard.queues import rules
from app.domain.job import Retry
from app.domain.queue import Pause, QueueRules


def bounds(model: Any, *path: str) -> tuple[Any, Any]:
    """The bounds of a number, or of a length, as the API's schema declares them."""
    schema = model.model_json_schema()
    found = schema
    for name in path:
        found = found["properties"][name]
        found = next((one for one in found.get("anyOf", []) if one.get("type") != "null"), found)
        if reference := found.get("$ref"):
            found = schema["$defs"][reference.rpartition("/")[2]]
    return (
        found.get("minimum", found.get("minLength", found.get("minItems"))),
        found.get("maximum", found.get("maxLength", found.get("maxItems"))),
    )


def test_bounds_are_those_of_the_api() -> None:
    assert bounds(QueueIn, "concurrency_limit") == rules.LIMIT
    assert bounds(QueueIn, "retry", "delay_seconds") == rules.DELAY
    assert bounds(QueueIn, "retry", "factor") == rules.FACTOR
    assert bounds(QueueIn, "retry", "max_delay_seconds") == rules.MAX_DELAY
    assert bounds(QueueIn, "retention", "seconds") == rules.RETENTION
    assert bounds(QueueIn, "expected_seconds") == rules.EXPECTED
    assert bounds(QueueIn, "reason") == (1, rules.MOST_REASON)
    assert bounds(KeyIn, "name") == (1, forms.MOST_NAME)
    assert bounds(KeyIn, "queues") == (1, forms.MOST_QUEUES)


PAUSED = QueueRules(paused=True, pause=Pause(by="ops", reason="why"))


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("limit", "concurrency_limit", 1),
        ("limit", "concurrency_limit", None),
        ("retry", "retry", Retry(0.000001, 1.1234567890123, 604_800.0)),
        ("retry", "retry", Retry(0.0, 100.0, 0.0)),
        ("retry", "retry", None),
        ("retention", "retention_seconds", 0),
        ("retention", "retention_failed_seconds", 90 * 86_400),
        ("retention", "retention_failed_seconds", 0),
        ("expected", "expected_seconds", 90),
        ("expected", "expected_seconds", rules.EXPECTED[1]),
        ("expected", "expected_seconds", None),
        ("retention", "retention_seconds", 60),
        ("retention", "retention_seconds", 61),
        ("retention", "retention_seconds", 7 * 86_400),
        ("retention", "retention_seconds", rules.RETENTION[1]),
        ("retention", "retention_seconds", None),
    ],
)
def test_what_a_form_shows_it_reads_back(name: str, field: str, value: object) -> None:
    rule = rules.RULES[name]
    before = QueueRules(paused=True, pause=PAUSED.pause, **{field: value})  # type: ignore[arg-type]
    shown = rule.fields(before)
    assert rule.read({name: [text] for name, text in shown.items()}, PAUSED) == before
