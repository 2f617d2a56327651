"""How long keys last: none outlives the key that made it, and none lengthens its own life."""

from datetime import datetime

from app.domain.errors import ForbiddenError
from app.domain.principal import Principal, StoredKey


def earlier_end(end: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier of two ends, of which None is never."""
    return min((at for at in (end, other) if at is not None), default=None)


def allowed_end(caller: Principal, key: StoredKey, end: datetime | None) -> datetime | None:
    """Return the end that a key gets where the caller asks for this one."""
    if earlier_end(end, key.expires_at) == end:
        return end
    if caller.ref == (key.project_id, key.id):
        raise ForbiddenError("A key cannot lengthen its own life; one that lasts longer can.")
    allowed = earlier_end(end, caller.expires_at)
    # Nothing is shortened by a call that lengthens.
    return key.expires_at if earlier_end(allowed, key.expires_at) == allowed else allowed
