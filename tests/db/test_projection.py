"""What a row type becomes: the columns of a statement, and the object that is made of a row."""

from dataclasses import dataclass, make_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import Column, DateTime, Double, Integer, LargeBinary, MetaData, Table, Text, Uuid, select
from sqlalchemy.dialects.postgresql import ARRAY, JSON

from app.db.expressions import text_of
from app.db.projection import LEFT_OUT, NO_ROWS, Projection, Value, reading


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Size(NamedTuple):
    width: int
    height: int


@dataclass
class Lid:
    weight: float
    colour: Colour | None


@dataclass
class Box:
    id: UUID
    colour: Colour
    size: Size
    lid: Lid | None
    names: frozenset[str]
    notes: tuple[str, ...] | None
    papers: Any = "no papers"


BOXES = Table(
    "boxes",
    MetaData(),
    Column("id", Uuid, nullable=False),
    Column("colour", Text, nullable=False),
    Column("size_width", Integer, nullable=False),
    Column("size_height", Integer, nullable=False),
    Column("lid_weight", Double),
    Column("lid_colour", Text),
    Column("names", ARRAY(Text), nullable=False),
    Column("notes", ARRAY(Text)),
    Column("papers", JSON),
    Column("digest", LargeBinary, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
)
B = BOXES.alias("b")
BOX = Projection(Box, B)
ID = UUID(int=1)
ROW = (ID, "red", 1, 2, 3.5, "blue", ["n", "m"], ["x"], {"a": 1})
READ = Box(ID, Colour.RED, Size(1, 2), Lid(3.5, Colour.BLUE), frozenset({"n", "m"}), ("x",), {"a": 1})


def labels_of(projection: Projection[Any]) -> list[str]:
    return [label for label, _ in projection.leaves()]


def test_fields_are_columns_of_their_name_and_fields_of_fields_are_prefixed() -> None:
    assert BOX.select_list == (
        "b.id AS id, b.colour AS colour, b.size_width AS size_width, b.size_height AS size_height, "
        "b.lid_weight AS lid_weight, b.lid_colour AS lid_colour, b.names AS names, b.notes AS notes, "
        "b.papers AS papers"
    )
    assert text_of(select(*BOX.elements())).replace("\n", "") == f"SELECT {BOX.select_list} FROM boxes AS b"
    assert BOX.reader()(ROW) == READ


def test_optional_object_is_none_where_its_first_column_is_null() -> None:
    without = BOX.reader()((ID, "red", 1, 2, None, "blue", [], None, None))
    assert without == Box(ID, Colour.RED, Size(1, 2), None, frozenset(), None, None)
    assert BOX.reader()((ID, "red", 1, 2, 3.5, None, [], None, None)).lid == Lid(3.5, None)


def test_word_that_no_enum_has_is_an_error_and_not_a_string() -> None:
    for row in ((ID, "green", *ROW[2:]), (ID, None, *ROW[2:]), (*ROW[:5], "green", *ROW[6:])):
        with pytest.raises(KeyError):
            BOX.reader()(row)


def test_row_of_another_length_is_an_error() -> None:
    for row in (ROW[1:], (*ROW, 1)):
        with pytest.raises(ValueError, match="unpack"):
            BOX.reader()(row)


def test_field_may_be_read_from_an_expression() -> None:
    changed = BOX.but(colour="upper(b.colour)", names=B.c.names)
    assert "upper(b.colour) AS colour" in changed.select_list
    assert "b.colour AS colour" in BOX.select_list
    assert changed.reader()(ROW) == READ


def test_field_may_be_read_by_a_function() -> None:
    changed = BOX.but(size=Projection(Size, columns={"width": reading(B.c.size_width, lambda n: -n), "height": "9"}))
    assert changed.reader()(ROW).size == Size(-1, 2)


def test_field_that_is_left_out_keeps_its_default() -> None:
    without = BOX.but(papers=LEFT_OUT)
    assert labels_of(without) == labels_of(BOX)[:-1]
    assert without.reader()(ROW[:-1]).papers == "no papers"


def test_object_may_be_read_from_columns_of_another_prefix_or_place() -> None:
    @dataclass
    class Two:
        id: UUID
        first: Size
        second: Size

    sizes = Projection(Size, B, prefix="size_")
    two = Projection(Two, B, {"first": sizes, "second": Projection(Size, "s")})
    assert two.select_list == (
        "b.id AS id, b.size_width AS first_width, b.size_height AS first_height, "
        "s.width AS second_width, s.height AS second_height"
    )
    assert two.reader()((ID, 1, 2, 3, 4)) == Two(ID, Size(1, 2), Size(3, 4))


def test_the_same_object_over_a_subquery_of_its_columns() -> None:
    over = BOX.but(colour="upper(b.colour)", papers=LEFT_OUT).over("m", absent_without="id")
    assert over.select_list.startswith("m.id AS id, m.colour AS colour, m.size_width AS size_width")
    assert over.reader()(ROW[:-1]) == Box(*[getattr(READ, name) for name in list(vars(READ))[:-1]])
    assert over.reader()((None,) * 8) is None


def test_one_column_reads_as_its_value() -> None:
    assert Value(int, "count(*)").select_list == "count(*) AS value"
    assert Value(int, "count(*)").reader()((3,)) == 3
    assert Value(Colour, B.c.colour).reader()(("red",)) is Colour.RED
    assert [leaf.annotation for _, leaf in Value(UUID, B.c.id).leaves()] == [UUID]
    assert labels_of(NO_ROWS) == ["value"]


def row_type_of(name: str, annotation: Any) -> Any:
    """A dataclass with one field."""
    return make_dataclass("Row", [(name, annotation)])


@pytest.mark.parametrize(
    ("annotation", "column"),
    [
        (int, "nothing"),  # no such column
        (str, "size_width"),
        (int, "colour"),
        (bool, "size_width"),
        (float, "size_width"),
        (str, "digest"),
        (str, "made_at"),
        (str, "papers"),
        (Any, "colour"),
        (frozenset[int], "names"),
        (frozenset[str], "colour"),
        (str, "lid_colour"),  # it may be null
        (Colour, "lid_colour"),
        (str | None, "colour"),  # it is never null
        (tuple[str, ...], "notes"),
    ],
)
def test_field_that_does_not_hold_its_column_is_refused(annotation: Any, column: str) -> None:
    row_type = row_type_of(column, annotation)
    with pytest.raises(TypeError):
        Projection(row_type, B)
    if column in B.c:
        with pytest.raises(TypeError):
            Projection(row_type, columns={column: B.c[column]})


@pytest.mark.parametrize(
    ("annotation", "column"),
    [
        (int, "size_width"),
        (Colour, "colour"),
        (Colour | None, "lid_colour"),
        (float | None, "lid_weight"),
        (bytes, "digest"),
        (datetime, "made_at"),
        (frozenset[Colour], "names"),
        (list[str] | None, "notes"),
        (dict[str, str] | None, "papers"),
        (Any, "papers"),
    ],
)
def test_field_that_holds_its_column_is_accepted(annotation: Any, column: str) -> None:
    row_type = row_type_of(column, annotation)
    assert Projection(row_type, B).select_list == f"b.{column} AS {column}"


def test_null_of_an_object_that_may_be_absent_needs_no_optional_field() -> None:
    lid = Projection(Lid, B, prefix="lid_", absent_without="weight")
    assert lid.reader()((None, None)) is None
    with pytest.raises(TypeError):
        Projection(Lid, B, prefix="lid_")


def test_declaration_that_says_too_much_or_too_little_is_refused() -> None:
    for build in (
        lambda: BOX.but(color="b.colour"),  # no such field
        lambda: Projection(Size),  # nothing says where
        lambda: BOX.but(names=LEFT_OUT),  # no default
        lambda: BOX.but(size=Projection(Lid, "s")),  # another type's
        lambda: BOX.but(size=Projection(Size, "s", absent_without="width")),  # never None
        lambda: Projection(int, "s"),
    ):
        with pytest.raises(TypeError):
            build()
