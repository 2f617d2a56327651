"""What the start page says of the service itself, and of more than it shows: the view alone, without a service."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.dashboard.now.views import MOST_FAILURES, MOST_ROWS, Found, view_of
from app.domain.queue import Depth
from app.domain.states import JobState
from app.domain.waiting import Reason, Waiting
from tests.dialects.samples import sample

NOW = datetime(2026, 11, 27, 3, tzinfo=UTC)
MIB = 2**20
QUIET = Found(
    now=NOW,
    depths={},
    reasons={},
    held=(),
    types={},
    more_held=False,
    failed=(),
    more_failed=False,
    workers=(),
    more_workers=False,
    ended_per_minute=0,
    checks={},
    free_bytes=None,
    least_free_bytes=None,
    listener_up=True,
    feed_seconds=None,
)


def test_nothing_to_do_is_all_is_well() -> None:
    view = view_of(QUIET)
    assert (view.is_well, view.sentence, view.service) == (True, "All is well.", ())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"free_bytes": 1000 * MIB, "least_free_bytes": 256 * MIB},
            "The disk of the database has 1000.0 MiB left; below 256.0 MiB no jobs are created.",
        ),
        ({"checks": {"no_space": "The disk is full."}, "free_bytes": 1, "least_free_bytes": 9}, "The disk is full."),
        ({"checks": {"migrations": "Run `jobtrack migrate`."}}, "Run `jobtrack migrate`."),
        (
            {"listener_up": False},
            "News from the database does not arrive here at the moment: waits are answered up to a second late.",
        ),
        (
            {"feed_seconds": 75.0},
            "A transaction that is open for 1 min 15 s holds up the streams of all events; the service's log names it.",
        ),
    ],
)
def test_a_fault_of_the_service_is_a_sentence(change: dict[str, object], sentence: str) -> None:
    view = view_of(replace(QUIET, **change))  # type: ignore[arg-type]
    assert (view.is_well, view.sentence, view.service) == (False, "1 fault of the service.", (sentence,))


@pytest.mark.parametrize(("free", "least"), [(None, None), (2048 * MIB, 256 * MIB), (1, 0)])
def test_a_disk_with_room_is_no_fault(free: int | None, least: int | None) -> None:
    assert view_of(replace(QUIET, free_bytes=free, least_free_bytes=least)).is_well


def test_queues_come_by_name_and_the_rest_is_counted() -> None:
    names = [f"q{n:02}" for n in range(MOST_ROWS + 5)]
    ids = {name: UUID(int=n) for n, name in enumerate(names)}
    depths = {name: Depth({JobState.PENDING: 3}, 60.0, 1, ids[name]) for name in reversed(names)}
    reasons = {id_: Waiting(Reason.NO_WORKER, NOW, None, "Nobody.") for id_ in ids.values()}
    view = view_of(replace(QUIET, depths=depths, reasons=reasons))
    assert view.sentence == f"{len(names)} queues wait without a worker."
    assert [row.name for row in view.queues] == names[:MOST_ROWS]
    assert {row.due for row in view.queues} == {2}
    assert view.more_queues == 5


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.NO_WORKER])
def test_a_queue_that_waits_for_anything_else_needs_no_hand(reason: Reason) -> None:
    id_ = UUID(int=1)
    depths = {"q": Depth({JobState.PENDING: 1}, 60.0, 0, id_)}
    view = view_of(replace(QUIET, depths=depths, reasons={id_: Waiting(reason, NOW, None, "")}))
    assert view.is_well


def test_failures_come_by_their_end_and_for_a_day() -> None:
    ends = [NOW - timedelta(hours=hours) for hours in (5, 1, 30, 3)]
    failed = [sample(JobState.FAILED, completed_at=end) for end in ends]
    view = view_of(replace(QUIET, failed=failed))
    assert view.sentence == "3 jobs failed in the last 24 hours."
    assert [row.ended_at for row in view.failures] == [ends[1], ends[3], ends[0]]


def test_more_failures_than_were_read_are_said_to_be_more() -> None:
    failed = [sample(JobState.FAILED, completed_at=NOW) for _ in range(50)]
    view = view_of(replace(QUIET, failed=failed, more_failed=True))
    assert view.sentence == "50 or more jobs failed in the last 24 hours."
    assert (len(view.failures), view.more_failures, view.failures_unseen) == (MOST_FAILURES, 50 - MOST_FAILURES, True)
