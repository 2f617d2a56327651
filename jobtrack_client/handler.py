"""Running a handler: a coroutine as a task of the event loop, plain code in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import inspect
import threading
from collections.abc import Callable
from typing import Any

from jobtrack_client.context import JobContext
from jobtrack_client.loops import call_in

Handler = Callable[[JobContext], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """How a handler ended: the value that it returned or whatever it raised.

    It is a value rather than the exception of a future, because some exceptions do more than end a task: asyncio lets
    SystemExit and KeyboardInterrupt end the event loop, and a future does not take StopIteration.
    """

    value: object = None
    error: BaseException | None = None


def start(handler: Handler, context: JobContext) -> asyncio.Future[Ended]:
    """Start the handler; the future is done when it has ended, and never has an exception."""
    if is_async(handler):
        return asyncio.create_task(_in_loop(handler, context), name=f"job {context.job['id']}")
    return _in_thread(handler, context)


def is_async(handler: Handler) -> bool:
    """Return whether the handler is a coroutine function, or an object that is called as one."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004  asks whether it is a coroutine function, not whether it exists


async def _in_loop(handler: Handler, context: JobContext) -> Ended:
    try:
        return Ended(await handler(context))
    except BaseException as error:  # noqa: BLE001  whatever it raises is how this handler ended, and nothing else
        return Ended(error=error)


def _in_thread(handler: Handler, context: JobContext) -> asyncio.Future[Ended]:
    """Run a synchronous handler in a daemon thread, which cannot keep the process from exiting.

    asyncio joins the threads of its executors at exit, so one handler that does not stop would block the exit.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Ended] = loop.create_future()

    def resolve(ended: Ended) -> None:
        if not future.done():
            future.set_result(ended)

    def run() -> None:
        try:
            ended = Ended(handler(context))
        except StopIteration as error:
            # What Python makes of it in a coroutine, so that both kinds of handler fail with the same code.
            stopped = RuntimeError("the handler raised StopIteration")
            stopped.__cause__ = error
            ended = Ended(error=stopped)
        except BaseException as error:  # noqa: BLE001  as in `_in_loop`
            ended = Ended(error=error)
        # An abandoned handler may outlive its event loop.
        call_in(loop, resolve, ended)

    try:
        threading.Thread(
            target=contextvars.copy_context().run, args=(run,), name=f"job {context.job['id']}", daemon=True
        ).start()
    except RuntimeError as error:  # the system gives the process no more threads
        resolve(Ended(error=error))
    return future
