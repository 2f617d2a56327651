"""Tables, feeds and fields: for people on a terminal, and for programs in a pipe.

On a terminal a table fits the width: wide columns are cut with an ellipsis, and the least important ones are left out.
In a pipe there is no header, each row is a line with tabs between its columns, and nothing is shortened or coloured.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from app.cli.printable import on_a_line, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_GAP = 2
# So narrow a column may become before one of less importance is left out for it.
_NARROW = 8
_NARROW_FOLDED = 24
# So many rows are measured and drawn at a time: the first are seen at once, however many follow.
_DRAWN_AT_ONCE = 500
_ASCII = str.maketrans("✓✗●○◐↻‖→…", "+x*o~~=>.")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    rank: int | None = None
    """Where the width is too small, the columns of the highest ranks are left out; 0: never. Default: its place."""
    wide: bool = True
    """Whether it may be cut, or folded, to the width that the others leave."""
    fold: bool = False
    """Whether what does not fit goes on below, and is not cut."""
    right: bool = False
    only: Literal["terminal", "pipe"] | None = None


class Cell(NamedTuple):
    """A value with two forms: whole and plain for a pipe, short and in colour for a terminal."""

    plain: object
    shown: str
    style: str = ""


def is_terminal() -> bool:
    """Check whether a person reads the output."""
    return sys.stdout.isatty()


def print_rows(columns: Sequence[Column | str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print the rows as a table, or print `empty` to standard error if there are none.

    A row has a value for each column: a `Cell`, or anything whose text is the same for a terminal and for a pipe.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        print(empty, file=sys.stderr)
        return
    heads = [Column(column, place) if isinstance(column, str) else column for place, column in enumerate(columns)]
    rows = itertools.chain([first], rows)
    if is_terminal():
        _draw(heads, rows)
    else:
        for row in rows:
            print(_line(heads, row))


def _line(columns: Sequence[Column], row: Sequence[object]) -> str:
    values = (
        cell.plain if isinstance(cell, Cell) else cell
        for column, cell in zip(columns, row, strict=True)
        if column.only != "terminal"
    )
    return "\t".join("" if value is None else on_a_line(str(value)) for value in values)


def _draw(columns: Sequence[Column], rows: Iterator[Sequence[object]]) -> None:
    console = _console()
    chosen: list[tuple[int, int]] = []
    while batch := list(itertools.islice(rows, _DRAWN_AT_ONCE)):
        texts = [_texts(console, columns, row) for row in batch]
        is_first = not chosen
        # The columns of all batches stand below the header, which is printed once.
        chosen = chosen or _layout(columns, texts, console.width)
        _print_grid(console, columns, texts, chosen, header=is_first)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def _texts(console: Console, columns: Sequence[Column], row: Sequence[object]) -> list[Text | None]:
    """Return what is shown of a row; None for what a terminal does not show."""
    return [None if column.only == "pipe" else _text(console, cell) for column, cell in zip(columns, row, strict=True)]


def _text(console: Console, cell: object) -> Text:
    from rich.text import Text

    text, style = (cell.shown, cell.style) if isinstance(cell, Cell) else ("" if cell is None else str(cell), "")
    text = printable(text)
    return Text(text.translate(_ASCII) if console.options.ascii_only else text, style)


def _layout(columns: Sequence[Column], texts: list[list[Text | None]], width: int) -> list[tuple[int, int]]:
    """Choose the columns that are shown, and their widths; one that is empty in all rows is not shown."""
    from rich.cells import cell_len

    natural: dict[int, int] = {}
    for place, column in enumerate(columns):
        longest = max(row[place].cell_len if row[place] else 0 for row in texts)  # type: ignore[union-attr]
        if longest:
            natural[place] = min(width, max(longest, cell_len(column.name)))
    least = {place: min(_least(columns[place]), size) for place, size in natural.items()}
    ranks = {place: place if (rank := columns[place].rank) is None else rank for place in natural}
    while sum(least.values()) + _GAP * (len(least) - 1) > width and any(ranks[place] for place in least):
        del least[max(least, key=lambda place: (ranks[place], place))]
    widths = {place: natural[place] for place in least}
    excess = sum(widths.values()) + _GAP * (len(widths) - 1) - width
    for floor in (least, dict.fromkeys(least, 1)):
        while excess > 0 and (free := [place for place in widths if widths[place] > floor[place]]):
            widths[max(free, key=widths.__getitem__)] -= 1
            excess -= 1
    return list(widths.items())


def _least(column: Column) -> int:
    if not column.wide:
        return sys.maxsize
    return _NARROW_FOLDED if column.fold else _NARROW


def _print_grid(
    console: Console,
    columns: Sequence[Column],
    texts: Iterable[Sequence[Text | None]],
    chosen: Sequence[tuple[int, int]],
    *,
    header: bool,
) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold", show_header=header)
    for place, width in chosen:
        column = columns[place]
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.name, width=width, justify=justify, no_wrap=not column.fold, overflow="fold")
    for row in texts:
        cells = [(columns[place], row[place], width) for place, width in chosen]
        table.add_row(*(text if column.fold else _cut(console, text, width) for column, text, width in cells))
    console.print(table, crop=False)


def _cut(console: Console, text: Text | None, width: int) -> Text:
    """Cut a text to a width in cells; of a wide character that would be half outside nothing is left."""
    from rich.cells import set_cell_size
    from rich.text import Text

    if text is None or text.cell_len <= width:
        return text or Text()
    mark = "." if console.options.ascii_only else "…"
    return Text(set_cell_size(text.plain, max(0, width - 1)).rstrip() + mark, text.style)


class Feed:
    """Prints rows one at a time, as they happen; on a terminal each column but the last has a fixed width."""

    def __init__(self, columns: Sequence[Column], widths: Sequence[int]) -> None:
        """Take the columns, and the widths of all that a terminal shows but the last."""
        self._columns = columns
        self._console = _console() if is_terminal() else None
        shown = [place for place, column in enumerate(columns) if column.only != "pipe"]
        if self._console is not None:
            rest = self._console.width - sum(widths) - _GAP * len(widths)
            self._chosen = list(zip(shown, (*widths, max(_NARROW, rest)), strict=True))

    def print(self, row: Sequence[object]) -> None:
        """Print a row, at once."""
        if self._console is None:
            print(_line(self._columns, row), flush=True)
        else:
            texts = [_texts(self._console, self._columns, row)]
            _print_grid(self._console, self._columns, texts, self._chosen, header=False)
            sys.stdout.flush()


def print_fields(fields: Mapping[str, object]) -> None:
    """Print the fields of one object, a line each, without those that have no value."""
    values = {name: _value(cell) for name, cell in fields.items()}
    width = max(12, *(len(name) + 2 for name in fields))
    for name, value in values.items():
        if value:
            print(f"{name + ':':<{width}}{value}")


def _value(cell: object) -> str:
    if is_terminal():
        shown = cell.shown if isinstance(cell, Cell) else cell
        return "" if shown is None else printable(str(shown))
    plain = cell.plain if isinstance(cell, Cell) else cell
    return "" if plain is None else on_a_line(str(plain))


def print_json(document: Any) -> None:
    """Print one JSON document on one line."""
    print(json.dumps(document), flush=True)
