"""`worker module:handlers`: a worker of the handlers that a module holds."""

from __future__ import annotations

import importlib
import operator
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobtrack_client import discovery, program_end
from jobtrack_client.client import AsyncJobtrackClient
from jobtrack_client.errors import JobtrackError
from jobtrack_client.handler import Handler
from jobtrack_client.handlers import NoHandlerError, handlers_of
from jobtrack_client.worker import Worker


def work(target: str, *, url: str | None = None, queues: Sequence[str] = (), **options: Any) -> None:
    """Run the handlers until a signal comes; `options` are those of `Worker`. Raises `SystemExit`, no other error."""
    address = discovery.address(url)
    try:
        handlers = _load(target)
        client = AsyncJobtrackClient(address, discovery.api_key(address))
        worker = Worker(client, types=handlers, queues=queues, **options)
    except (JobtrackError, ValueError, RuntimeError) as error:
        program_end.end(error, address)
    worker.run_until_signal()


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
