"""What a request that is held open takes of its process, and how much of it one key may have.

Without the second one key could take all there is: twenty thousand waits of one caller were everybody's 503.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.domain.job import ClaimFilter


class Kind(StrEnum):
    """What is counted, as the errors call it."""

    WAITS = "waits"
    IDS = "watched ids"
    CLAIMS = "claims"
    FILTERS = "different filters of waiting claims"
    STREAMS = "streams"
    TRANSFERS = "uploads and downloads"


MOST: Final[Mapping[Kind, int]] = MappingProxyType(
    {
        # Some 20 KB each.
        Kind.WAITS: 20_000,
        # What a wait holds is its ids: a few tens of bytes for each, and half a KB for each job that is watched at all.
        Kind.IDS: 200_000,
        Kind.CLAIMS: 10_000,
        # The sweep looks for each of them in the database, every second.
        Kind.FILTERS: 500,
        # A slow reader has up to 2,000 events waiting.
        Kind.STREAMS: 2_000,
        # A piece of a body each, of 256 KiB.
        Kind.TRANSFERS: 1_000,
    }
)
"""What a process holds open at most, by kind."""
KEY_SHARE_PERCENT: Final = 75
"""How much of that one key may have: ten thousand waits, and never all."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one held request takes."""

    counts: tuple[tuple[Kind, int], ...] = ()
    claim_filter: ClaimFilter | None = None
    """The filter of a claim that waits."""


NOTHING: Final = Holding()
ONE_WAIT: Final = Holding(((Kind.WAITS, 1), (Kind.IDS, 1)))
STREAM: Final = Holding(((Kind.STREAMS, 1),))
JOB_STREAM: Final = Holding(((Kind.STREAMS, 1), *ONE_WAIT.counts))
TRANSFER: Final = Holding(((Kind.TRANSFERS, 1),))


def wait_for(job_ids: Collection[object]) -> Holding:
    """Return what a wait for these jobs takes."""
    return Holding(((Kind.WAITS, 1), (Kind.IDS, len(job_ids)))) if len(job_ids) != 1 else ONE_WAIT


def claim_by(claim_filter: ClaimFilter, wait_seconds: float) -> Holding:
    """Return what a claim takes; the sweep looks only for those that wait."""
    return Holding(((Kind.CLAIMS, 1),), claim_filter if wait_seconds > 0 else None)


class Holdings:
    """What some held requests take together."""

    __slots__ = ("_counts", "_filters")

    def __init__(self) -> None:
        self._counts: dict[Kind, int] = {}
        self._filters: dict[ClaimFilter, int] = {}

    def count(self, kind: Kind) -> int:
        """Return how much of a kind there is."""
        return len(self._filters) if kind is Kind.FILTERS else self._counts.get(kind, 0)

    def add(self, holding: Holding) -> None:
        """Add what a request takes."""
        for kind, count in holding.counts:
            self._counts[kind] = self._counts.get(kind, 0) + count
        if holding.claim_filter is not None:
            self._filters[holding.claim_filter] = self._filters.get(holding.claim_filter, 0) + 1

    def remove(self, holding: Holding) -> None:
        """Take away what a request took."""
        for kind, count in holding.counts:
            self._counts[kind] -= count
        if holding.claim_filter is not None:
            left = self._filters.pop(holding.claim_filter) - 1
            if left:
                self._filters[holding.claim_filter] = left

    def excess(self, holding: Holding, most: Mapping[Kind, int]) -> Kind | None:
        """Return a kind of which there would be more than `most` with this request; None if it fits."""
        for kind, count in holding.counts:
            if self.count(kind) + count > most[kind]:
                return kind
        is_new = holding.claim_filter is not None and holding.claim_filter not in self._filters
        return Kind.FILTERS if is_new and len(self._filters) >= most[Kind.FILTERS] else None
