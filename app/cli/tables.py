"""Tables: drawn for people on a terminal; in a pipe, columns separated by tabs and never shortened."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print the rows as a table, or print `empty` to standard error if there are none."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not texts:
        print(empty, file=sys.stderr)
    elif sys.stdout.isatty():
        _draw(columns, texts)
    else:
        for row in texts:
            # A tab in a value would split its column in two.
            print("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))


def _draw(columns: Sequence[str], texts: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for n, column in enumerate(columns):
        # The first column is the one that people copy, so it is never wrapped.
        table.add_column(column, no_wrap=n == 0, overflow="fold")
    for row in texts:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def print_json(document: Any) -> None:
    """Print one JSON document on one line."""
    print(json.dumps(document), flush=True)
