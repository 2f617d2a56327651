"""What the page of queues and workers shows: pure functions, as a dialect's translation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from app.core.queues import QueueView
from app.dashboard.formats import duration
from app.dashboard.links import link
from app.domain.principal import Principal, Scope
from app.domain.queue import MOST_COUNTED, Pause, QueueRules
from app.domain.states import CLAIMABLE, LEASED, LIVE
from app.domain.worker import MOST_NAMES, Worker

PATH: Final = "/ui/queues"
_SHOWN_NAMES: Final = 4


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue in the table."""

    key: str
    """What stands for the name where a name cannot: in ids, and in the address that the numbers come from."""
    name: str
    rules: QueueRules
    pause: Pause
    href: str
    numbers: tuple[str, ...]
    """Due, the age of the oldest, scheduled, held, and created and ended in a minute: the columns of the table."""
    by_state: tuple[tuple[str, str], ...]
    may_change: bool


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker in the table. Names of None are any."""

    worker: Worker
    queues: tuple[str, ...] | None
    more_queues: tuple[str, ...]
    types: tuple[str, ...] | None
    more_types: tuple[str, ...]
    limit: int = MOST_NAMES


def key_of(name: str) -> str:
    """Return a short key of a queue's name, of letters and digits."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()


def may_change(caller: Principal, name: str) -> bool:
    """Whether a key may change the rules of a queue, as the API would let it."""
    return caller.may(Scope.ADMIN) and (caller.queues is None or name in caller.queues)


def queue_rows(views: Sequence[QueueView], caller: Principal) -> list[QueueRow]:
    """Return the rows of the table."""
    return [queue_row(view, may_change=may_change(caller, view.name)) for view in views]


def queue_row(view: QueueView, *, may_change: bool) -> QueueRow:
    """Return what is shown of one queue."""
    rules, depth, rates = view.rules, view.depth, view.rates
    oldest, limit = depth.oldest_waiting_seconds, rules.concurrency_limit
    held = _counted(view, LEASED)
    return QueueRow(
        key=key_of(view.name),
        name=view.name,
        rules=rules,
        pause=rules.pause or Pause(),
        href=link(PATH, queue=view.name),
        numbers=(
            _counted(view, CLAIMABLE, depth.scheduled),
            "—" if oldest is None else duration(oldest),
            _number(depth.scheduled),
            held if limit is None else f"{held} of {limit:,}",
            f"{_number(rates.created_per_minute)} / {_number(rates.ended_per_minute)}",
        ),
        by_state=tuple((state.value, _counted(view, {state})) for state in LIVE_IN_ORDER if depth.by_state.get(state)),
        may_change=may_change,
    )


LIVE_IN_ORDER: Final = sorted(LIVE, key=lambda state: (state in LEASED, state.value))
"""What waits before what is held."""


def _counted(view: QueueView, states: Collection[str], but: int = 0) -> str:
    counts = [count for state, count in view.depth.by_state.items() if state in states]
    return f"{sum(counts) - but:,}" + ("+" if any(count >= MOST_COUNTED for count in counts) else "")


def _number(count: int) -> str:
    return f"{count:,}" + ("+" if count >= MOST_COUNTED else "")


def seen_rows(rows: Sequence[QueueRow], seen: str) -> tuple[list[QueueRow], int]:
    """Return those rows that a page shows already, so that none moves under the pointer, and how many are new."""
    known = set(seen.split(","))
    shown = [row for row in rows if row.key in known]
    return shown, len(rows) - len(shown)


def worker_rows(workers: Sequence[Worker]) -> list[WorkerRow]:
    """Return the rows of the table of workers."""
    return [WorkerRow(worker, *_parted(worker.queues), *_parted(worker.types)) for worker in workers]


def _parted(names: Sequence[str] | None) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Cut names into those that are shown at once and the others; None is any."""
    if names is None:
        return None, ()
    return tuple(names[:_SHOWN_NAMES]), tuple(names[_SHOWN_NAMES:])
