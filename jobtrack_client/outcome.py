"""How a handler ends: what it returns and what it raises."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from jobtrack_client.limits import MAX_RETRY_AFTER_SECONDS, NAME_CHARACTERS, TEXT_CHARACTERS
from jobtrack_client.text import cut, plain


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """Return this from a handler to add billing to the result; any other return value is the result itself."""

    result: object = None
    billing: object = None


class Fail(Exception):  # noqa: N818  an instruction to the worker, not a defect
    """Raise this from a handler to fail the attempt with a code and a message of your own.

    `retryable=False` fails the job without another attempt; `retry_after_seconds` (0 to 604,800, a week) overrides the
    queue's back-off. What the service would refuse is sent as the nearest that it takes: texts are cut to 255 and 4,096
    characters, a delay is moved into its bounds, and one that is no number is left to the queue.
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


def fields_of(error: BaseException) -> dict[str, Any]:
    """Return the fields of the call that fails the attempt, within the service's limits; never raises.

    A `Fail` says itself what they are. Of any other exception the class name is the code and the text the message.
    Each part is read on its own, because a part that cannot be read must not take the others with it.
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).lower()
    fields: dict[str, Any] = {"code": name, "message": _message_of(error), "retryable": True}
    if isinstance(error, Fail):
        code, message = _read(error, "code"), _read(error, "message")
        fields["code"] = name if code is None else plain(code)
        fields["message"] = fields["message"] if message is None else plain(message)
        fields["retryable"] = _truth(_read(error, "retryable"))
        fields["retry_after_seconds"] = _seconds(_read(error, "retry_after_seconds"))
    fields["code"] = cut(fields["code"] or name or "error", NAME_CHARACTERS)
    fields["message"] = cut(fields["message"], TEXT_CHARACTERS)
    return fields


def _message_of(error: BaseException) -> str:
    # The text of SystemExit(3) is "3", which says nothing without its class.
    text = plain(error) if isinstance(error, Exception) else plain(_represented(error))
    return text or type(error).__name__


def _represented(error: BaseException) -> str:
    try:
        return repr(error)
    except BaseException:  # noqa: BLE001  as in `plain`
        return type(error).__name__


def _read(failure: Fail, name: str) -> Any:
    """Return an attribute, or None: a subclass may have forgotten to call `Fail.__init__`."""
    try:
        return getattr(failure, name, None)
    except BaseException:  # noqa: BLE001  a property of a subclass, as in `plain`
        return None


def _truth(retryable: Any) -> bool:
    try:
        return retryable is None or bool(retryable)
    except BaseException:  # noqa: BLE001  another attempt is the lesser harm
        return True


def _seconds(delay: Any) -> float | None:
    if delay is None:
        return None
    try:
        seconds = float(delay)
    except BaseException:  # noqa: BLE001  any object may have been passed
        return None
    # The comparison is false for NaN, which is no delay at all.
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS) if seconds == seconds else None  # noqa: PLR0124
