"""A statement names exactly what it declares, as a text and as an expression."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import ColumnElement, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.db import tables
from app.db.expressions import is_one_of, text_of, unnested
from app.db.parameters import NOTHING, Batch, Values
from app.db.projection import NO_ROWS, Projection, Value
from app.db.statement import CoreStatement, Statement, literals
from app.domain.states import TERMINAL, JobState

P = tables.projects.alias("p")


class Named(NamedTuple):
    id: UUID
    name: str


NAMED = Projection(Named, P)


def test_names_stand_for_casts_and_columns() -> None:
    statement = Statement("SELECT :returned FROM projects p WHERE p.id = :id AND :name <> p.name", Values(Named), NAMED)
    assert statement.sql == (
        "SELECT p.id AS id, p.name AS name FROM projects p WHERE p.id = CAST($1 AS uuid) AND CAST($2 AS text) <> p.name"
    )
    assert statement.bind(Named(UUID(int=1), "n")) == (UUID(int=1), "n")
    assert statement.read((UUID(int=1), "n")) == Named(UUID(int=1), "n")


def test_name_may_stand_twice_and_a_cast_is_no_name() -> None:
    statement = Statement("SELECT :id::text, :id, ':1', :name", Values(Named))
    assert statement.sql == "SELECT CAST($1 AS uuid)::text, CAST($1 AS uuid), ':1', CAST($2 AS text)"


@pytest.mark.parametrize(
    ("sql", "takes", "returns"),
    [
        ("SELECT :id", Values(Named), NO_ROWS),  # a field that is not used
        ("SELECT :id, :name, :nmae", Values(Named), NO_ROWS),  # a name that is not declared
        ("SELECT :rows", NOTHING, NO_ROWS),
        ("SELECT 1", NOTHING, NAMED),  # rows that are not selected
        ("SELECT :returned", NOTHING, NO_ROWS),  # columns that nobody reads
        ("SELECT :id FROM :rows", Batch(Named), NO_ROWS),  # a batch's columns are `i.id`
    ],
)
def test_text_that_names_something_else_than_declared_is_refused(sql: str, takes: Any, returns: Any) -> None:
    with pytest.raises(TypeError, match="declared"):
        Statement(sql, takes, returns)


THIS = P.c.id == bindparam("id"), P.c.name != bindparam("name")


def test_expression_becomes_such_a_text() -> None:
    statement = CoreStatement(select(*NAMED.elements()).where(*THIS), Values(Named), NAMED)
    assert statement.sql.replace("\n", "") == (
        "SELECT p.id AS id, p.name AS name FROM projects AS p "
        "WHERE p.id = CAST($1 AS uuid) AND p.name != CAST($2 AS text)"
    )
    assert statement.bind(Named(UUID(int=1), "n")) == (UUID(int=1), "n")
    assert statement.read((UUID(int=1), "n")) == Named(UUID(int=1), "n")


def test_expression_binds_in_the_order_of_the_fields_and_not_in_its_own() -> None:
    statement = CoreStatement(
        update(tables.projects).values(name=bindparam("name")).where(tables.projects.c.id == bindparam("id")),
        Values(Named),
        NO_ROWS,
    )
    assert statement.sql == "UPDATE projects SET name=CAST($2 AS text) WHERE projects.id = CAST($1 AS uuid)"


def test_expression_that_names_something_else_than_declared_is_refused() -> None:
    columns = select(*NAMED.elements())
    swapped = select(*reversed(NAMED.elements()))
    cases: list[tuple[Any, Any, Any]] = [
        (columns.where(THIS[0]), Values(Named), NAMED),
        (columns.where(*THIS, P.c.name < bindparam("nmae")), Values(Named), NAMED),
        (columns.where(*THIS), NOTHING, NAMED),
        (columns.where(*THIS), Values(Named), NO_ROWS),
        (swapped.where(*THIS), Values(Named), NAMED),
        (insert(tables.projects).values(id=bindparam("id"), name=bindparam("name")), Values(Named), NAMED),
    ]
    for expression, takes, returns in cases:
        with pytest.raises(TypeError, match="declared"):
            CoreStatement(expression, takes, returns)


def test_value_in_an_expression_is_a_literal() -> None:
    """No state can be bound, which would keep a generic plan from a partial index."""
    state = tables.jobs.c.state
    assert text_of(state == JobState.PENDING) == "jobs.state = 'pending'"
    assert text_of(is_one_of(state, TERMINAL)) == f"jobs.state IN ({literals(TERMINAL)})"
    assert text_of(select(P.c.id).limit(5)).endswith("LIMIT 5")
    assert text_of(func.coalesce(P.c.name, "it's")) == "coalesce(p.name, 'it''s')"


def test_arrays_are_rows_of_an_expression() -> None:
    rows = unnested("s", state="states")
    column: ColumnElement[Any] = rows.c.state
    assert text_of(select(column)).replace("\n", "") == "SELECT s.state FROM unnest(:states) AS s(state)"


class Word(StrEnum):
    B = "b"
    A = "a"


def test_words_are_sorted_so_that_every_process_sends_the_same_text() -> None:
    assert literals(frozenset(Word)) == "'a', 'b'"
    assert literals(["b", "a"]) == "'a', 'b'"


@dataclass
class Empty:
    pass


def test_statement_may_take_and_return_nothing() -> None:
    statement = Statement("SELECT pg_sleep(0)")
    assert (statement.sql, statement.bind(None)) == ("SELECT pg_sleep(0)", ())
    assert Statement("SELECT :returned", returns=Value(int, "1")).sql == "SELECT 1 AS value"
    assert Statement("SELECT 1", Values(Empty)).bind(Empty()) == ()
