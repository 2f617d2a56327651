"""Gauges of what one process knows about itself: what it holds open, its feed, its pool, its disk."""

import math

from app.core.key_holds import KeyHolds
from app.core.metrics import Metrics
from app.core.space import Space
from app.db.engine import Database
from app.domain.held import Kind
from app.live.change_feed import ChangeFeed
from app.live.event_stream import EventStream
from app.live.feed_lag import FeedLag
from app.live.idle_claims import IdleClaims
from app.live.waiters import Waiters


def watch(
    metrics: Metrics,
    *,
    database: Database,
    waiters: Waiters,
    stream: EventStream,
    idle_claims: IdleClaims,
    feed: ChangeFeed,
    feed_lag: FeedLag,
    holds: KeyHolds,
    space: Space,
) -> None:
    """Register the gauges, each read when the metrics are."""
    metrics.watch("open_waits", "Requests that wait for jobs.", lambda: len(waiters))
    metrics.watch("open_streams", "Readers of the event stream.", lambda: len(stream))
    lag = "Age of the oldest event that /v1/events cannot show yet, because an older transaction is open."
    metrics.watch("feed_lag_seconds", lag, lambda: feed_lag.seconds)
    metrics.watch("held_requests", "Requests that are held open, and end with their keys.", lambda: len(holds))
    metrics.watch("watched_ids", "Ids of jobs in open waits.", lambda: holds.count(Kind.IDS))
    metrics.watch("open_claims", "Claims that wait for work.", lambda: len(idle_claims))
    metrics.watch("listener_up", "1: a message to ourselves came back lately.", lambda: float(feed.up))
    if space.is_watched:
        free = "Free bytes of the embedded database's volume."
        metrics.watch("data_free_bytes", free, lambda: math.nan if (n := space.free_bytes()) is None else n)
        least = "Free bytes below which creations and uploads are refused."
        metrics.watch("data_least_free_bytes", least, lambda: space.least_bytes)
    metrics.watch("db_pool_checked_out_connections", "Connections in use.", database.connections_in_use)
    metrics.watch("db_pool_size_connections", "Connections there may be.", database.connections_allowed)
