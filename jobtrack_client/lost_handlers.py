"""Handlers that were given up and still run: what is left of a worker beside them."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import NoReturn

from jobtrack_client.handler import Ended
from jobtrack_client.patience import logger


class WorkerStuckError(RuntimeError):
    """All places of the worker are taken by handlers that could not be ended; only another process can go on."""


class LostHandlers:
    """The handlers that a worker could not end, each of which takes one of its places until it ends by itself."""

    def __init__(self, worker: str, concurrency: int) -> None:
        self._worker = worker
        self._concurrency = concurrency
        self.futures: set[asyncio.Future[Ended]] = set()
        # Set by a worker that is the whole program.
        self.may_end_process = False

    def __len__(self) -> int:
        return len(self.futures)

    def add(self, name: str, handler: asyncio.Future[Ended], *, silently: bool = False) -> None:
        """Count this handler until it ends, and say so in the log unless `silently`."""
        if handler.done():
            return
        self.futures.add(handler)
        handler.add_done_callback(self.futures.discard)
        if silently:
            return
        left = self._concurrency - len(self.futures)
        sentence = "%s: the handler does not stop and was abandoned; until it ends, worker %s has %d of %d places left"
        logger.error(sentence, name, self._worker, left, self._concurrency)

    def check(self) -> None:
        """Raise `WorkerStuckError` if no place is left."""
        if len(self.futures) >= self._concurrency:
            detail = f"worker {self._worker}: all {self._concurrency} places are lost to handlers that do not end"
            logger.critical("%s; it stops", detail)
            raise WorkerStuckError(detail)

    def note_blocked(self, over: int) -> None:
        """Note, in the thread of the heartbeats, that so many handlers ran for too long in a blocked event loop."""
        if over + len(self.futures) >= self._concurrency:
            logger.critical("worker %s: no place is left, and the event loop is blocked", self._worker)
            if self.may_end_process:
                end_process()

    def leave(self, code: int) -> None:
        """End the process if asyncio could not: it waits for every task, for one that ignores its cancellation too."""
        if any(isinstance(handler, asyncio.Task) for handler in self.futures):
            end_process(code)


def end_process(code: int = 1) -> NoReturn:
    """End the process at once, without the clean-up that waits for the event loop."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
