"""What a dataclass of parameters becomes: the SQL of its names, and the driver's arguments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import select

from app.db.expressions import text_of
from app.db.parameters import NOTHING, Batch, Int2, Int4, Takes, Values


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Place(NamedTuple):
    x: int
    y: float


@dataclass
class Size:
    width: Int2
    height: Int4 | None


@dataclass
class Box:
    name: str
    size: Size
    lid: Size | None
    place: Place
    colour: Colour | None


BOX = Box("a", Size(1, 2), None, Place(3, 4.5), Colour.RED)
BARE = Box("b", Size(5, None), Size(6, 7), Place(8, 9.5), None)
COLUMNS = "name, size_width, size_height, lid_width, lid_height, place_x, place_y, colour"


def types_of(takes: Takes[Any]) -> dict[str, str]:
    return {p.name: p.sql_type for p in takes.parameters}


def test_fields_of_fields_are_prefixed_and_cast() -> None:
    takes = Values(Box)
    assert types_of(takes) == {
        "name": "text",
        "size_width": "smallint",
        "size_height": "integer",
        "lid_width": "smallint",
        "lid_height": "integer",
        "place_x": "bigint",
        "place_y": "float8",
        "colour": "text",
    }
    assert takes.in_text()["size_height"] == "CAST($3 AS integer)"
    assert takes.in_text() == takes.in_expression()
    assert takes.binder()(BOX) == ("a", 1, 2, None, None, 3, 4.5, "red")
    assert takes.binder()(BARE) == ("b", 5, None, 6, 7, 8, 9.5, None)


def test_parameter_may_be_null_where_its_field_or_one_around_it_is_optional() -> None:
    nullable = {p.name for p in Values(Box).parameters if p.nullable}
    assert nullable == {"size_height", "lid_width", "lid_height", "colour"}


def test_batch_is_one_array_a_column() -> None:
    takes = Batch(Box)
    assert types_of(takes)["size_width"] == "smallint[]"
    casts = ", ".join(f"CAST(${n} AS {p.sql_type})" for n, p in enumerate(takes.parameters, 1))
    assert takes.in_text() == {"rows": f"unnest({casts}) AS i ({COLUMNS})"}
    bound = takes.binder()([BOX, BARE])
    assert bound == (
        ["a", "b"],
        [1, 5],
        [2, None],
        [None, 6],
        [None, 7],
        [3, 8],
        [4.5, 9.5],
        ["red", None],
    )
    assert takes.binder()([]) == ([],) * 8


def test_numbered_batch_has_its_place_as_a_column() -> None:
    expected = "unnest(CAST($1 AS bigint[]), CAST($2 AS float8[])) WITH ORDINALITY AS i (x, y, n)"
    assert Batch(Place, numbered=True).in_text() == {"rows": expected}


def test_plain_tuple_does_where_a_named_one_is_declared() -> None:
    rows: Any = {(1, 2.5)}
    assert Batch(Place).binder()(rows) == ([1], [2.5])


@dataclass
class Request:
    limit: int
    places: Sequence[Place]
    after: datetime | None


def test_sequence_of_rows_among_values_is_a_batch() -> None:
    takes = Values(Request)
    assert takes.in_text() == {
        "limit": "CAST($1 AS bigint)",
        "places": "unnest(CAST($2 AS bigint[]), CAST($3 AS float8[])) WITH ORDINALITY AS places (x, y, n)",
        "after": "CAST($4 AS timestamptz)",
    }
    assert takes.binder()(Request(7, [Place(1, 2.5), Place(3, 4.5)], None)) == (7, [1, 3], [2.5, 4.5], None)


def test_expression_names_each_column_of_a_batch() -> None:
    takes = Values(Request)
    assert takes.in_expression().keys() == {"limit", "places_x", "places_y", "after"}
    places, rows = takes.rows_of("places"), Batch(Place).rows_of()
    assert text_of(select(places.c.y)).endswith("FROM unnest(:places_x, :places_y) AS places(x, y)")
    assert text_of(select(rows.c.y)).endswith("FROM unnest(:rows_x, :rows_y) AS i(x, y)")
    with pytest.raises(KeyError):
        takes.rows_of("limits")


@dataclass
class Kinds:
    id: UUID
    moment: datetime
    length: timedelta
    digest: bytes
    yes: bool
    names: frozenset[str]
    numbers: list[int] | None
    colours: Sequence[Colour]
    labels: dict[str, str]
    payload: Any


def test_every_type_has_its_cast() -> None:
    assert types_of(Values(Kinds)) == {
        "id": "uuid",
        "moment": "timestamptz",
        "length": "interval",
        "digest": "bytea",
        "yes": "boolean",
        "names": "text[]",
        "numbers": "bigint[]",
        "colours": "text[]",
        "labels": "text",
        "payload": "text",
    }


@dataclass
class Documents:
    labels: dict[str, str]
    payload: Any


@pytest.mark.parametrize(
    ("payload", "text"), [(None, None), ({"a": [1]}, '{"a": [1]}'), ("x", '"x"'), (0, "0"), (False, "false")]
)
def test_json_goes_as_text_and_none_as_null(payload: Any, text: str | None) -> None:
    documents = Documents({"a": "b"}, payload)
    assert Values(Documents).binder()(documents) == ('{"a": "b"}', text)
    assert Batch(Documents).binder()([documents]) == (['{"a": "b"}'], [text])


@dataclass
class Unknown:
    number: complex


@dataclass
class Ambiguous:
    number: int | str


@pytest.mark.parametrize("kind", [Unknown, Ambiguous, int])
def test_type_without_one_sql_type_is_refused(kind: type) -> None:
    with pytest.raises(TypeError):
        Values(kind)


def test_nothing_is_bound_as_nothing() -> None:
    assert NOTHING.binder()(None) == ()
    assert NOTHING.in_text() == {}
