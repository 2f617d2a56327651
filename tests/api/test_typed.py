"""Both ways of reading a body, by its types and by parsing and validating: what the first takes means the same."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from app.api.fields import Body
from app.api.jobs.wire import JobIn, JobsIn
from app.api.rows import BadRow
from app.api.typed import TypedReader
from app.api.workers.wire import CompleteRow, FailRow, ReleaseRow, ReportIn, ReportRow, ReportsIn
from app.domain.errors import JobtrackError
from app.web.binding import typed_reader
from app.web.body import BATCH_BODY, JSON_BODY, BodyRules, check_text, parse
from tests.api.body_values import UNKNOWN, VALUES
from tests.api.corpus import NO_BODY, NO_JSON

ID = UUID(UNKNOWN)
CALLS: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "report": (ReportRow, {}),
    "complete": (CompleteRow, {}),
    "fail": (FailRow, {"code": "c", "message": "m"}),
    "release": (ReleaseRow, {}),
}
ROWS: list[tuple[str, type[BaseModel], dict[str, Any]]] = [
    ("jobs", JobIn, {"type": "t"}),
    *(("reports", model, {"job_id": UNKNOWN, "action": action, "token": UNKNOWN, **more})
      for action, (model, more) in CALLS.items()),
    ("", ReportIn, {"token": UNKNOWN}),
]  # fmt: skip
WHOLE: dict[str, tuple[type[Body], BodyRules]] = {
    "jobs": (JobsIn, BATCH_BODY),
    "reports": (ReportsIn, BATCH_BODY),
    "": (ReportIn, JSON_BODY),
}


def meaning(name: str, body: Any) -> str:
    """What the service makes of a body, with the types of all values."""
    if name == "jobs":
        return repr([(job := replace(row.to_domain(), id=ID), job.payload and job.payload.text) for row in body.jobs])
    if name == "reports":
        return repr([(row.job_id, row.call(ID, ID)) for row in body.reports])
    return repr(body.call(ID, ID))


def ordinary(name: str, body: bytes) -> str | None:
    """The meaning of a body that is parsed and validated; None of one with anything to refuse."""
    model, rules = WHOLE[name]
    try:
        parsed = parse(body, rules)
        check_text(parsed)
        value: Any = model.model_validate(parsed)
    except (JobtrackError, ValidationError):
        return None
    if any(isinstance(row, BadRow) for row in (getattr(value, name) if name else ())):
        return None
    return meaning(name, value)


def by_type(name: str, body: bytes) -> str | None:
    model, rules = WHOLE[name]
    assert model.typed_reader is not None
    value = model.typed_reader(body, rules)
    return None if value is None else meaning(name, value)


def whole(name: str, *rows: str) -> bytes:
    text = f'{{"{name}": [{",".join(rows)}]}}' if name else rows[0]
    return text.encode("utf-8", "surrogatepass")


def row(pairs: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in pairs) + "}"


def compare(name: str, body: bytes) -> bool:
    """Compare both ways; returns whether the types took the body."""
    found = by_type(name, body)
    if found is not None:
        assert found == ordinary(name, body), body[:300]
    return found is not None


@pytest.mark.parametrize(("name", "model", "least"), ROWS, ids=[model.__name__ for _, model, _ in ROWS])
def test_every_value_of_every_field(name: str, model: type[BaseModel], least: dict[str, Any]) -> None:
    plain = [(key, json.dumps(value)) for key, value in least.items()]
    assert compare(name, whole(name, row(plain)))
    for field in [*model.model_fields, "unknown"]:
        taken = 0
        for value in VALUES:
            taken += compare(name, whole(name, row([*(pair for pair in plain if pair[0] != field), (field, value)])))
            # Of a key that comes twice the last counts, whichever way the body is read.
            compare(name, whole(name, row([*plain, (field, value), (field, dict(plain).get(field, "null"))])))
            compare(name, whole(name, row([(field, value), *plain, (field, value)])))
        assert (taken > 0) == (field != "unknown"), field


@pytest.mark.parametrize("name", WHOLE)
def test_hostile_corpus(name: str) -> None:
    for body in (*NO_JSON, *NO_BODY, b"", b"null", b"\xef\xbb\xbf{}", b" {} ", b'{"jobs": []}', b'{"reports": [[]]}'):
        assert not compare(name, body)


def generated(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Generate bodies of several rows with several fields each, and damage some of them."""
    for _ in range(6_000):
        name = rng.choice(list(WHOLE))
        rows = []
        for _ in range(rng.choice([1, 1, 2, 3]) if name else 1):
            _, model, least = rng.choice([each for each in ROWS if each[0] == name])
            pairs = [(key, json.dumps(value)) for key, value in least.items()]
            fields = rng.choices([*model.model_fields], k=rng.randrange(5))
            pairs += [(field, rng.choice(SHORT)) for field in fields]
            rows.append(row(pairs))
        body = whole(name, *rows)
        if rng.random() < 0.3:
            place = rng.randrange(len(body))
            body = (
                body[:place]
                + bytes([rng.choice(b'\x00\x1f "\\,:{}[]0e.-u\x80\xff')])
                + body[place + rng.choice([0, 1]) :]
            )
        yield name, body


SHORT = [value for value in VALUES if len(value) < 300]


def test_generated_bodies() -> None:
    taken = [compare(name, body) for name, body in generated(random.Random(14))]
    assert sum(taken) > 300


def test_full_rows_are_read_by_type() -> None:
    """No field of an ordinary client makes a body odd."""
    job = {
        "type": "t", "queue": "q", "engine": "e", "collection": "c", "payload": {"a": ["é", 1.5, None]}, "priority": -5,
        "scheduled_at": "2026-01-01T00:00:00Z", "expires_at": "2027-01-01T00:00:00+01:00", "max_attempts": 5,
        "retry": {"delay_seconds": 1, "factor": 2, "max_delay_seconds": 3.5}, "labels": {"a": "b"},
        "items": [{"key": "k", "name": "n", "uri": "u", "size_bytes": 5}], "claim": {"worker": "w"},
        "expected_seconds": 60,
    }  # fmt: skip
    item = {"key": "k", "status": "failed", "stage": "s", "result": {"n": 1}, "message": "m", "skip_reason": "r"}
    report = {
        "token": UNKNOWN, "lease_seconds": 60, "stage": "s", "progress": 40, "message": "m", "items": [item] * 3,
        "items_total": 10, "logs": [{"level": "error", "message": "m", "at": None}], "checkpoint": {"at": [1]},
    }  # fmt: skip
    assert job.keys() == JobIn.model_fields.keys()
    assert report.keys() == ReportIn.model_fields.keys()
    assert compare("jobs", json.dumps({"jobs": [job] * 2}).encode())
    assert compare("", json.dumps(report).encode())
    rows = [report | {"job_id": "x", "action": "report"}, {"job_id": "x", "action": "complete", "token": UNKNOWN}]
    assert compare("reports", json.dumps({"reports": rows}).encode())


def test_number_of_values_is_bounded() -> None:
    for count, rules in ((499_990, BATCH_BODY), (500_001, BATCH_BODY), (49_990, JSON_BODY), (50_001, JSON_BODY)):
        name = "jobs" if rules is BATCH_BODY else ""
        field = "payload" if name else "checkpoint"
        parts = [count // 10] * 9 + [count - count // 10 * 9]
        rows = (
            [{"type": "t", field: [0] * part} for part in parts] if name else [{"token": UNKNOWN, field: [0] * count}]
        )
        compare(name, whole(name, *map(json.dumps, rows)))


class _Strict(Body):
    """What the declarations below add to."""


def _lax() -> type[BaseModel]:
    class Lax(BaseModel):
        x: int

    return Lax


def _field(annotation: Any, default: Any = ...) -> type[BaseModel]:
    return type("Declared", (_Strict,), {"__annotations__": {"x": annotation}, "x": Field(default=default)})


class _SeesAll(_Strict):
    @model_validator(mode="before")
    @classmethod
    def _all(cls, value: Any) -> Any:
        return value


@pytest.mark.parametrize(
    "model",
    [
        _lax(),
        _SeesAll,
        _field(Annotated[str, StringConstraints(pattern="x")]),
        _field(Annotated[str, StringConstraints(to_lower=True)]),
        _field(Annotated[int, Field(multiple_of=2)]),
        _field(Annotated[str, BeforeValidator(str)]),
        _field(int | str),
        _field(set[int]),
        _field(dict[int, int]),
        type("Renamed", (_Strict,), {"__annotations__": {"x": Literal["a"]}, "x": Field(alias="y")}),
    ],
)
def test_declaration_without_a_counterpart_is_refused_at_once(model: type[BaseModel]) -> None:
    with pytest.raises(TypeError):
        TypedReader(model)


def test_reader_is_its_own_models_alone() -> None:
    """A row of a batch is a report with more fields, which its reader would not know."""

    async def take(body: Any) -> None:
        pass

    found = []
    for model in (ReportIn, ReportRow, CompleteRow):
        take.__annotations__ = {"body": model}
        found.append(typed_reader(APIRoute("/", take, methods=["POST"])))
    assert found == [ReportIn.typed_reader, None, None]
    assert ReportIn.typed_reader is not None
