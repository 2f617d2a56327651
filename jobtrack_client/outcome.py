"""How a handler ends: what it returns, and what it raises."""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """Return this from a handler to give billing with the result; any other value is the result itself."""

    result: object = None
    billing: object = None


class Fail(Exception):  # noqa: N818  an order to the worker, not a defect
    """Raise this from a handler to fail the attempt in your own words.

    `retryable=False` gives up at once; `retry_after_seconds` overrules the queue's back-off.
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
    """Give the failure that an exception means: itself, or its class as the code and its text."""
    if isinstance(error, Fail):
        return error
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__)
    return Fail(words.lower()[:255], str(error)[:2000] or type(error).__name__)
