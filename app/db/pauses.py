"""Whether a queue is paused: a pause that has an end is none once it has passed, whoever looks."""

from typing import Final


def in_force(queue: str) -> str:
    """Write whether the pause of a queue's row holds now. No maintenance has to end it."""
    return f"({queue}.paused AND ({queue}.paused_until IS NULL OR {queue}.paused_until > statement_timestamp()))"


OPEN: Final = f"NOT coalesce({in_force('q')}, false)"
"""Whether a queue hands out jobs. One without a row in `queues` does: it has the defaults."""
