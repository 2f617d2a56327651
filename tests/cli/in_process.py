"""The command inside the test's process: a hundred runs in the time of one process, for tests of what it refuses."""

import io
import os
import re
import signal
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import typer

from app.cli import app, main

_CONTEXT = ssl.create_default_context()
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TREE = typer.main.get_command(app)


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


class Command:
    """Runs the command; what the machine's own environment sets is left out."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def __call__(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        columns: int | None = None,
    ) -> Ended:
        """Run it with these arguments, as Python decodes them: a byte that is not UTF-8 is half a surrogate pair.

        With `columns`, its output is a terminal of this width; its colours are left out.
        """
        with self._patch.context() as patch:
            for name in [name for name in os.environ if name.startswith("JOBTRACK_") or name == "PORT"]:
                patch.delenv(name)
            for name, value in {"JOBTRACK_DATA_DIR": "/nonexistent", **(environment or {})}.items():
                patch.setenv(name, value)
            # Most of the time of a run: certificates that no test needs, and the tree of the commands.
            patch.setattr("ssl.create_default_context", lambda *_, **__: _CONTEXT)
            patch.setattr("typer.main.get_command", lambda _: _TREE)
            if columns is not None:
                patch.setenv("COLUMNS", str(columns))
                patch.setenv("TERM", "xterm")
            out, err = io.BytesIO(), io.BytesIO()
            patch.setattr("sys.argv", ["jobtrack", *arguments])
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            stdout = _Terminal if columns is not None else io.TextIOWrapper
            patch.setattr("sys.stdout", stdout(out, "utf-8"))
            patch.setattr("sys.stderr", io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True))
            with pytest.raises(SystemExit) as end:
                main()
            shown = out.getvalue().decode() if columns is None else _COLOURS.sub("", out.getvalue().decode())
            return Ended(int(end.value.code or 0), shown, err.getvalue().decode())


class Parameter(NamedTuple):
    """A parameter of a command, and the option that sets it; None: it is an argument."""

    command: tuple[str, ...]
    name: str
    option: str | None


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    below: Mapping[str, Any] = getattr(command, "commands", {})
    if not below:
        yield path, command
    for name, sub in below.items():
        yield from _leaves(sub, (*path, name))


COMMANDS = dict(_leaves(_TREE))
PARAMETERS = [
    Parameter(path, parameter.name, None if parameter.param_type_name == "argument" else parameter.opts[0])
    for path, command in COMMANDS.items()
    for parameter in command.params
    if not getattr(parameter, "is_flag", False) and parameter.name != "help"
]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs the command, and puts back the signal handlers that it has set."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Command(monkeypatch)
    for number, handler in kept.items():
        signal.signal(number, handler)
