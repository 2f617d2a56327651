"""Tables on a terminal of any width, and in a pipe, of whatever others have stored."""

import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator

import pytest
from rich.cells import cell_len

from app.cli import cells
from app.cli.tables import Cell, Column, Feed, print_fields, print_rows

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
COLUMNS = (
    Column("id", rank=0, wide=False),
    Column("status", rank=0, wide=False),
    Column("type", rank=1),
    Column("queue", rank=5),
    Column("done", rank=2, wide=False, right=True),
    Column("created", rank=3, wide=False),
    Column("why", rank=4, fold=True),
    Column("raw", only="pipe"),
)
HOSTILE = (
    "plain",
    "",
    "x" * 5000,
    "日本語" * 400,
    "\x1b[2J\x1b]0;pwned\x07",
    "two\nlines\r\tand a tab",
    "\u202egnp.exe",
    "\ud800 half",
    "[/x] [bold]markup :smile:",
    "👩‍👩‍👧‍👦" * 50,
    "e\u0301\u0301\u0301" * 100,
)


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Screen:
    """Runs what prints, with a terminal for standard output."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def __call__(self, columns: int, show: Callable[[], object]) -> list[str]:
        """Return the lines that are shown, without their colours."""
        terminal = _Terminal()
        with self._patch.context() as patch:
            patch.setenv("TERM", "xterm")
            patch.setenv("COLUMNS", str(columns))
            patch.setattr(sys, "stdout", terminal)
            show()
        return COLOURS.sub("", terminal.getvalue()).removesuffix("\n").split("\n")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Where a test draws. Not standard output itself, which pytest sets anew between a fixture and its test."""
    return Screen(monkeypatch)


def _row(text: str, state: str = "completed_with_failures") -> tuple[object, ...]:
    job_id = "01a21d60-793e-76a6-9b8b-2327b498f6e5"
    return (cells.short_id(job_id), cells.status(state), text, text, cells.percent(42.5), "12 m ago", text, text)


def _shown(screen: Screen, columns: int, rows: Iterable[tuple[object, ...]]) -> list[str]:
    return screen(columns, lambda: print_rows(COLUMNS, rows, empty=""))


@pytest.mark.parametrize("columns", [1, 20, 40, 60, 80, 120, 300])
def test_table_never_exceeds_the_width_and_acts_on_nothing(screen: Screen, columns: int) -> None:
    lines = _shown(screen, columns, map(_row, HOSTILE))
    assert all(line.isprintable() for line in lines)
    assert max(map(cell_len, lines)) <= columns


def test_columns_are_left_out_by_importance(screen: Screen) -> None:
    rows = [_row("index_the_folder_of_documents"), _row("x", "failed")]
    shown = []
    for columns in (120, 76, 48, 30):
        head, first, *_ = _shown(screen, columns, rows)
        assert first.startswith("b498f6e5  ! completed"), "never cut"
        shown.append(head.split())
    assert shown == [
        ["id", "status", "type", "queue", "done", "created", "why"],
        ["id", "status", "type", "done", "created", "why"],
        ["id", "status", "type", "done", "created"],
        ["id", "status"],
    ]


def test_folded_column_is_whole_and_cut_ones_end_in_an_ellipsis(screen: Screen) -> None:
    words = [f"word{n}" for n in range(40)]
    columns = [Column("key", rank=0), Column("why", rank=0, fold=True)]
    lines = screen(60, lambda: print_rows(columns, [("x" * 200, " ".join(words))], empty=""))
    assert lines[1].split()[0].endswith("x…")
    assert [word for line in lines for word in line.split() if word.startswith("word")] == words


def test_later_rows_stand_below_the_same_header(screen: Screen) -> None:
    """Many rows are drawn in batches, the first before the last has been read."""
    drawn: list[int] = []

    def rows() -> Iterator[tuple[object, ...]]:
        for n in range(2000):
            drawn.append(len(sys.stdout.getvalue()))  # type: ignore[union-attr]
            yield (*_row("t" if n < 1000 else "longer" * 9, "running")[:6], None, None)

    lines = _shown(screen, 80, rows())
    assert (len(lines), sum(line.startswith("id ") for line in lines)) == (2001, 1)
    assert max(map(cell_len, lines)) <= 80
    assert len({cell_len(line.partition("42 %")[0]) for line in lines[1:]}) == 1
    assert drawn[-1] > 0


def test_signs_become_ascii_where_the_terminal_has_no_others(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Terminal, "encoding", "iso-8859-1")
    lines = _shown(screen, 40, [_row("x" * 90), _row("x", "failed"), _row("x", "running")])
    assert "".join(lines).isascii()
    assert "x failed" in lines[2]


def test_pipe_has_whole_plain_values_and_a_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(COLUMNS, [_row("a\tb\nc\x1b[31m"), _row("日本語" * 400)], empty="")
    first, second = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    job_id = "01a21d60-793e-76a6-9b8b-2327b498f6e5"
    text = r"a\tb\nc\x1b[31m"
    assert first == [job_id, "completed_with_failures", text, text, "42.5", "12 m ago", text, text]
    assert second[2] == "日本語" * 400


def test_no_rows_are_a_sentence_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(COLUMNS, [], empty="No job matches.")
    assert capsys.readouterr() == ("", "No job matches.\n")


def test_names_alone_are_columns_too(screen: Screen) -> None:
    """The first is the most important one."""
    columns, row = ("name", "host", "last seen"), ("worker-one", "vm-12.internal", "3 m ago")
    head, *_ = screen(20, lambda: print_rows(columns, [row], empty=""))
    assert head.split() == ["name", "host"]


@pytest.mark.parametrize("columns", [20, 60, 80])
def test_feed_aligns_what_comes_line_by_line(screen: Screen, columns: int) -> None:
    def show() -> None:
        feed = Feed([Column("at"), Column("event", only="pipe"), Column("what", fold=True)], [8])
        for text in HOSTILE:
            feed.print(["14:00:00", "job.failed", Cell(text, text)])

    lines = screen(columns, show)
    assert all(line.isprintable() and line[:8] in ("14:00:00", " " * 8) for line in lines)
    assert max(map(cell_len, lines)) <= columns


def test_fields_act_on_nothing(screen: Screen) -> None:
    lines = screen(80, lambda: print_fields({"message": "\x1b[2J\n", "none": None, "empty": ""}))
    assert lines == [r"message:    \x1b[2J\n"]
