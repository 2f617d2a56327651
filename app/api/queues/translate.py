"""Queues as documents."""

from typing import Any

from app.api.translate import time_text
from app.core.queues import QueueView
from app.domain.queue import Pause, QueueRules
from app.domain.states import CLAIMABLE, LEASED, LIVE


def _retention(rules: QueueRules) -> dict[str, int | None] | None:
    seconds, failed_seconds = rules.retention_seconds, rules.retention_failed_seconds
    if seconds is None and failed_seconds is None:
        return None
    return {"seconds": seconds, "failed_seconds": failed_seconds}


def queue_document(view: QueueView) -> dict[str, Any]:
    """Describe a queue."""
    rules, depth, rates = view.rules, view.depth, view.rates
    retry, pause = rules.retry, rules.pause or Pause()
    return {
        "name": view.name,
        "paused": rules.paused,
        "paused_at": time_text(pause.at),
        "paused_by": pause.by,
        "reason": pause.reason,
        "until": time_text(pause.until),
        "concurrency_limit": rules.concurrency_limit,
        "retry": retry
        and {
            "delay_seconds": retry.delay_seconds,
            "factor": retry.factor,
            "max_delay_seconds": retry.max_delay_seconds,
        },
        "expected_seconds": rules.expected_seconds,
        "retention": _retention(rules),
        "depth": {state.value: depth.by_state.get(state, 0) for state in sorted(LIVE)},
        "due": depth.count(CLAIMABLE) - depth.scheduled,
        "scheduled": depth.scheduled,
        "held": depth.count(LEASED),
        "oldest_waiting_seconds": depth.oldest_waiting_seconds,
        "oldest_waiting_id": depth.oldest_waiting_id and str(depth.oldest_waiting_id),
        "rates": {"created_per_minute": rates.created_per_minute, "ended_per_minute": rates.ended_per_minute},
        "created_at": view.row and time_text(view.row.created_at),
        "updated_at": view.row and time_text(view.row.updated_at),
    }
