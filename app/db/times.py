"""Times as the database has them: the last one allowed, and `infinity`, which Python does not have."""

from datetime import datetime
from typing import Final

from app.domain import times

END: Final = f"CAST('{times.END.isoformat()}' AS timestamptz)"
"""Before this lies every time that the service writes."""


def finite(moment: datetime | None) -> datetime | None:
    """Return a time, and None for `infinity`: versions before this one let clients write it as an end."""
    # The driver gives every other time its offset.
    return None if moment is None or moment.tzinfo is None else moment
