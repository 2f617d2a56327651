"""Events as documents, and their ids as cursors."""

from typing import Any
from uuid import UUID

from app.api.translate import time_text
from app.domain.event import JobEventRecord, LogRecord, Position
from app.web.cursors import MAX_ROW, QUERY, InvalidCursorError, read_epoch_cursor, write_epoch_cursor

_ID_BITS = 64
_IDS = 1 << _ID_BITS


def write_position(project_id: UUID, position: Position) -> str:
    """Write an event's id: a cursor that is valid for this project's events only."""
    place = position.xid << _ID_BITS | position.id
    return write_epoch_cursor(place, position.epoch, "events", str(project_id))


def read_position(project_id: UUID, cursor: str, *, pointer: str = QUERY) -> Position:
    """Read an event's id; `pointer` names its place in the request."""
    most = MAX_ROW << _ID_BITS | MAX_ROW
    place, epoch = read_epoch_cursor(cursor, "events", str(project_id), most=most, pointer=pointer)
    position = Position(*divmod(place, _IDS), epoch)
    if position.id > MAX_ROW:
        raise InvalidCursorError(pointer)
    return position


def event_document(event: JobEventRecord) -> dict[str, Any]:
    """Describe an event."""
    return {
        "id": write_position(event.project_id, event.position),
        "type": event.type,
        "job_id": str(event.job_id),
        "at": time_text(event.at),
        "attempt": event.attempt,
        "worker": event.worker,
        "from": event.source and event.source.value,
        "to": event.target.value,
        "data": event.data,
    }


def line_document(line: LogRecord) -> dict[str, Any]:
    """Describe a log line."""
    return {
        "line": line.line,
        "at": time_text(line.at),
        "attempt": line.attempt,
        "level": line.level,
        "message": line.message,
    }
