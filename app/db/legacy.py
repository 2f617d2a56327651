"""Statements not declared yet: parameters by name, rows with attributes. Goes when the last module is converted."""

import re
from collections.abc import Mapping
from typing import Any

import asyncpg

from app.db.statement import Statement


class Row(asyncpg.Record):
    """A row whose columns are attributes too."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """Return a column."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Legacy(Statement[Mapping[str, Any], Any]):
    """SQL whose parameters are written `:name`."""

    __slots__ = ()

    def __init__(self, sql: str) -> None:
        names: dict[str, int] = {}
        self.sql = re.sub(
            r"(?<![:\w]):([a-z_][a-z0-9_]*)", lambda found: f"${names.setdefault(found[1], len(names) + 1)}", sql
        )
        self.bind = lambda parameters: [parameters[name] for name in names]
        self.read = lambda row: row
