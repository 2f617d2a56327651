"""`worker module:handlers`: a worker of the handlers that a module holds."""

from __future__ import annotations

import importlib
import operator
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jobtrack_client import discovery
from jobtrack_client.client import AsyncJobtrackClient
from jobtrack_client.errors import Forbidden, JobtrackError, NotFound, Unauthorized, Unavailable, Unprocessable
from jobtrack_client.handler import Handler
from jobtrack_client.handlers import NoHandlerError, handlers_of
from jobtrack_client.lost_handlers import WorkerStuckError
from jobtrack_client.worker import Worker

# The first that fits, with the exit codes of the command line.
_EXIT_CODES: Sequence[tuple[type[Exception], int]] = (
    (Unauthorized, 5),
    (Forbidden, 5),
    (NotFound, 4),
    (Unavailable, 6),
    (Unprocessable, 2),
    (JobtrackError, 7),
    (WorkerStuckError, 1),
    (ValueError, 2),
    (RuntimeError, 3),
)


class End(NamedTuple):
    """How a command ended: its exit code, and a sentence if something was wrong."""

    code: int
    sentence: str = ""


def work(target: str, *, url: str | None = None, queues: Sequence[str] = (), **options: Any) -> End:
    """Run the handlers until a signal comes; `options` are those of `Worker`. Raises no error."""
    try:
        handlers = _load(target)
        address = discovery.address(url)
        client = AsyncJobtrackClient(address, discovery.api_key(address))
        worker = Worker(client, types=handlers, queues=queues, **options)
    except (JobtrackError, ValueError, RuntimeError) as error:
        return _end(error)
    try:
        worker.run_until_signal()
    except (JobtrackError, WorkerStuckError) as error:
        return _end(error)
    return End(0)


def _end(error: Exception) -> End:
    code = next(code for kind, code in _EXIT_CODES if isinstance(error, kind))
    sentence = str(error).strip()
    sentence = sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
    if code == 5 and "JOBTRACK_API_KEY" not in sentence:
        sentence = f"{sentence} Set JOBTRACK_API_KEY to a key of the service."
    return End(code, sentence)


def _load(target: str) -> dict[str, Handler]:
    name, colon, attribute = target.partition(":")
    parts = [*name.split("."), *(attribute.split(".") if colon else [])]
    if not all(map(str.isidentifier, parts)):
        raise NoHandlerError(f"{_shown(target)} is not the name of a module, or module:name, as in nightly:handlers")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    source: Any = _imported(name)
    if colon:
        try:
            source = operator.attrgetter(attribute)(source)
        except AttributeError:
            raise NoHandlerError(f"The module {_shown(name)} has no {_shown(attribute)}") from None
    return handlers_of(source, f"The module {_shown(name)}" if not colon else _shown(target))


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            hint = f": name the module alone, {_shown(name[:-3])}" if name.endswith(".py") else ""
            where = "in this folder or among the installed packages"
            raise NoHandlerError(f"There is no module {_shown(name)} {where}{hint}") from None
        cause: Exception = error
    except Exception as error:  # noqa: BLE001  a module may raise anything
        cause = error
    # Its own fault needs its own lines.
    traceback.print_exception(cause)
    raise NoHandlerError(f"The module {_shown(name)} could not be imported: {type(cause).__name__}: {cause}") from cause


def _shown(name: str) -> str:
    return f"{name!r:.100}"
