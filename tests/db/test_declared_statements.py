"""Every statement prepares with the parameters and the columns that it declares."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, get_args, get_origin
from uuid import UUID

import pytest
from sqlalchemy import JSON, Column
from sqlalchemy.dialects import postgresql

from app.db import tables
from app.db.connection import Connection
from app.db.parameters import without_none
from app.db.projection import NO_ROWS
from app.db.statement import Statement
from tests.db.statements import STATEMENTS

READ_FROM = {
    str: {"text", "varchar"},
    int: {"int2", "int4", "int8"},
    float: {"float8"},
    bool: {"bool"},
    bytes: {"bytea"},
    datetime: {"timestamptz"},
    UUID: {"uuid"},
    Any: {"json"},
    dict: {"json"},
}
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
SHORT = {
    "bigint": "int8",
    "integer": "int4",
    "smallint": "int2",
    "boolean": "bool",
    "double precision": "float8",
    "timestamp with time zone": "timestamptz",
}


def short(sql_type: str) -> str:
    """The server's own name of a type."""
    element = sql_type.removesuffix("[]")
    return SHORT.get(element, element) + sql_type.removeprefix(element)


def types_of(annotation: Any) -> set[str]:
    """The server's types that a field may be read from."""
    plain, _ = without_none(annotation)
    origin = get_origin(plain) or plain
    if origin in (tuple, list, frozenset, Sequence):
        # PostgreSQL has one type for arrays of any number of dimensions.
        return {f"{element.removesuffix('[]')}[]" for element in types_of(get_args(plain)[0])}
    return READ_FROM[str if isinstance(origin, type) and issubclass(origin, StrEnum) else origin]


def test_the_walk_finds_statements_of_all_kinds() -> None:
    assert {
        "db.jobs.SELECT",
        "db.transitions.MOVES[complete]",
        "db.deletions.PRUNE_SOME[0]",
        "db.job_lists.listing(label)",
        "live.change_feed.NOTIFY",
    } <= STATEMENTS.keys()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_statement_takes_and_returns_what_it_declares(connection: Connection, name: str) -> None:
    statement = STATEMENTS[name]
    prepared = await connection.driver.prepare(statement.sql)
    assert [p.name for p in prepared.get_parameters()] == [short(p.sql_type) for p in statement.takes.parameters]
    returned = [(column.name, column.type.name) for column in prepared.get_attributes()]
    if statement.returns is NO_ROWS:
        # A function that is called for what it does.
        assert {kind for _, kind in returned} <= {"void"}
        return
    leaves = list(statement.returns.leaves())
    assert [label for label, _ in returned] == [label for label, _ in leaves]
    for (label, kind), (_, leaf) in zip(returned, leaves, strict=True):
        assert kind in types_of(leaf.annotation), label


FILLED_IN = {
    # The statement's own value stands in where there is none.
    *(
        (f"db.create.{name}", column)
        for name in ("INSERT", "INSERT_INTO_KNOWN_QUEUES")
        for column in ("scheduled_at", "retry_delay_seconds", "retry_factor", "retry_max_delay_seconds")
    ),
    ("db.items.APPLY", "status"),
}
CAST_THERE = {("db.reports.RECORD", "samples"), ("db.reports.RECORD_AT_ONCE", "samples")}
"""Sent as text, because rows of arrays would be flattened into one."""


def written_columns(statement: Statement[Any, Any]) -> Iterator[Column[Any]]:
    """The columns that a statement may write: those that it inserts, and all of a table that it updates."""
    for table, names in re.findall(r"\bINSERT INTO (\w+) (?:AS \w+ )?\(([\w,\s]+)\)", statement.sql):
        yield from (tables.metadata.tables[table].c[name] for name in re.findall(r"\w+", names))
    for table in re.findall(r"\bUPDATE (\w+) (?:\w+ )?SET\b", statement.sql):
        yield from tables.metadata.tables[table].c


WRITING = {name: statement for name, statement in STATEMENTS.items() if list(written_columns(statement))}


@pytest.mark.parametrize("name", WRITING)
def test_parameter_with_the_name_of_a_written_column_is_like_it(name: str) -> None:
    statement = WRITING[name]
    parameters = {parameter.name: parameter for parameter in statement.takes.parameters}
    for column in written_columns(statement):
        if (parameter := parameters.get(column.name)) is None:
            continue
        kind = "text" if isinstance(column.type, JSON) else column.type.compile(DIALECT).lower()
        if (name, column.name) not in CAST_THERE:
            assert short(parameter.sql_type).removesuffix("[]") == short(kind).removesuffix("[]"), column
        if not isinstance(column.type, JSON) and (name, column.name) not in FILLED_IN:
            assert column.nullable or not parameter.nullable, column
