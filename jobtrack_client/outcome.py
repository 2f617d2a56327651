"""How a handler ends: what it returns and what it raises."""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """Return this from a handler to add billing to the result; any other return value is the result itself."""

    result: object = None
    billing: object = None


class Fail(Exception):  # noqa: N818  an instruction to the worker, not a defect
    """Raise this from a handler to fail the attempt with a code and a message of your own.

    `retryable=False` fails the job without another attempt; `retry_after_seconds` overrides the queue's back-off.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = True,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds


def failure_of(error: BaseException) -> Fail:
    """Return the failure that an exception means: itself, or its class name as the code and its text as the message."""
    if isinstance(error, Fail):
        return error
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__)
    return Fail(name.lower()[:255], str(error)[:2000] or type(error).__name__)
