"""Runs a piece of load in a process of its own, and talks with it through a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import resource
import signal
import traceback
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import uvloop

P = ParamSpec("P")
T = TypeVar("T")

_ANSWER_SECONDS = 600.0
"""Nothing that a generator does takes as long."""


class GeneratorError(RuntimeError):
    """The load could not be put on, or its answers were wrong."""


class Channel:
    """The generator's end of the pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def send(self, said: Any) -> None:
        self._pipe.send(("said", said))

    async def receive(self) -> Any:
        """Wait for a word from the benchmark; EOFError when that is gone."""
        return await asyncio.get_running_loop().run_in_executor(None, self._pipe.recv)


class Generator:
    """One load process, for the length of a `with` block."""

    def __init__(
        self, work: Callable[Concatenate[Channel, P], Awaitable[Any]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(theirs, work, args, kwargs), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()

    def send(self, said: Any) -> None:
        self._pipe.send(said)

    def receive(self) -> Any:
        """What it says next, or its result at the end."""
        if not self._pipe.poll(_ANSWER_SECONDS):
            raise GeneratorError("the load generator does not answer")
        try:
            kind, said = self._pipe.recv()
        except EOFError:
            raise GeneratorError("the load generator died") from None
        if kind == "error":
            raise GeneratorError(said)
        return said


def run(work: Callable[Concatenate[Channel, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a load to its end and give its result."""
    with Generator(work, *args, **kwargs) as generator:
        result: T = generator.receive()
        return result


def allow_many_files() -> int:
    """Let this process and its children open as many files as the machine allows: ten thousand sockets are some."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _main(pipe: Connection, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    # Ctrl-C is for the benchmark, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    allow_many_files()

    async def run() -> Any:
        return await work(Channel(pipe), *args, **kwargs)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            pipe.send(("result", runner.run(run())))
    except Exception as error:  # noqa: BLE001 - told to the benchmark, which raises it
        lines = traceback.format_exception(error)
        with contextlib.suppress(OSError):
            pipe.send(("error", f"{type(error).__name__}: {error}" if str(error) else lines[-1]))
    # A thread may still wait for a word on the pipe: nobody will say one.
    os._exit(0)
