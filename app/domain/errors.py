"""Errors: a stable code and one sentence each. The edges decide how they look on the wire."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from app.domain.field_error import FieldError, first_of

if TYPE_CHECKING:
    from app.domain.job import Job


class JobtrackError(Exception):
    """The root of all errors that a caller may see."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFoundError(JobtrackError):
    """It does not exist, or it belongs to another project: the two are indistinguishable."""

    code = "not_found"


class MalformedError(JobtrackError):
    """The request cannot be read at all: not JSON, bad header."""

    code = "malformed"


class InvalidError(JobtrackError):
    """The request can be read, and is wrong: one sentence, or the faults of its places.

    Of several faults the message names the first and how many more there are: it is all that most clients show.
    """

    code = "invalid"

    def __init__(self, faults: str | Sequence[FieldError], count: int | None = None) -> None:
        """Store the faults; `count` is their number where not all of them are listed."""
        self.errors = () if isinstance(faults, str) else tuple(faults)
        super().__init__(faults if isinstance(faults, str) else first_of(self.errors, count or len(self.errors)))


class TooManyQueuesError(InvalidError):
    """The project has as many queues as it may have, and this would be one more."""

    code = "too_many_queues"


class TooLargeError(JobtrackError):
    """The body is longer than its route allows."""

    code = "too_large"


class SlowBodyError(JobtrackError):
    """The body did not arrive in time."""

    code = "body_timeout"


class UnsupportedMediaTypeError(JobtrackError):
    """The body comes in a type or encoding that the route does not take."""

    code = "unsupported_media_type"


class UnauthorizedError(JobtrackError):
    """No key, or a wrong one."""

    code = "unauthorized"


class ForbiddenError(JobtrackError):
    """The key is right and lacks the scope."""

    code = "forbidden"


class ThrottledError(JobtrackError):
    """A rate limit was exceeded; `retry_after_seconds` is when to try again."""

    code = "throttled"
    retryable = True

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class KeyLimitError(ThrottledError):
    """The key holds as much open as one key may: what it holds has to end first."""

    code = "key_limit"


class UnavailableError(JobtrackError):
    """The database cannot be reached just now."""

    code = "unavailable"
    retryable = True
    retry_after_seconds = 1.0


class NoSpaceError(UnavailableError):
    """The disk of the database is full, or nearly."""

    code = "no_space"
    retry_after_seconds = 30.0


class BusyError(UnavailableError):
    """The database is there, and other calls had all of its connections for too long."""

    code = "busy"


class UnansweredError(UnavailableError):
    """The database accepted a call and was silent for too long."""


class JobBusyError(UnavailableError):
    """Another transaction has locked the job just now."""


class TooManyWaitsError(UnavailableError):
    """This process holds as much open as it may; another one, or a moment later, may have room."""

    code = "too_many_waits"


class ConflictError(JobtrackError):
    """The job is not in a state that allows this. Carries the job as it is."""

    code = "conflict"

    def __init__(self, message: str, job: "Job | None" = None) -> None:
        super().__init__(message)
        self.job = job


class LeaseLostError(ConflictError):
    """The token is not the job's latest: another attempt holds it, or this one gave it back. Or it is the latest, the
    lease ran out, and the queue has no place for the job to go on.
    """

    code = "lease_lost"


class AlreadyTerminalError(ConflictError):
    """The job has ended, and ended jobs never change."""

    code = "already_terminal"


class InvalidTransitionError(ConflictError):
    """The lifecycle has no such step from the job's current state."""

    code = "invalid_transition"


class QueueFullError(ConflictError):
    """The queue holds as many jobs as its limit allows, so that none is created already claimed."""

    code = "queue_full"
    retryable = True


class InputGoneError(ConflictError):
    """The job's input held credentials and was dropped."""

    code = "input_gone"


class CursorExpiredError(JobtrackError):
    """The cursor is of another database cluster: its place in the order of events means nothing here."""

    code = "cursor_expired"


class RangeError(JobtrackError):
    """The range of bytes that was asked for lies outside of what there is."""

    code = "range_not_satisfiable"

    def __init__(self, message: str, size_bytes: int) -> None:
        super().__init__(message)
        self.size_bytes = size_bytes


class IdempotencyInProgressError(ConflictError):
    """The first call with this Idempotency-Key has not finished yet."""

    code = "idempotency_in_progress"
    retryable = True


class QueueInUseError(ConflictError):
    """The queue has live jobs."""

    code = "queue_in_use"


class KeyRevokedError(ConflictError):
    """The key was revoked, which is permanent."""

    code = "key_revoked"


class LastOperatorKeyError(ConflictError):
    """Without this key nobody could administer the service any more."""

    code = "last_operator_key"
