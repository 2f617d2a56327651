"""How what handlers say is gathered into reports."""

import pytest

from jobtrack_client.buffer import REPORT_LIMIT, ReportBuffer
from jobtrack_client.limits import MAX_ITEMS


@pytest.fixture
def woken() -> list[bool]:
    return []


@pytest.fixture
def buffer(woken: list[bool]) -> ReportBuffer:
    return ReportBuffer(woken.append, strict_items=True)


def test_the_newest_word_wins_and_the_rest_stays(buffer: ReportBuffer) -> None:
    buffer.add_fields(progress=1.0, message="a")
    buffer.add_fields(progress=2.0, stage=None)
    buffer.add_items([{"key": "a", "name": "A", "status": "processing"}, {"key": "b", "status": "queued"}])
    buffer.add_items([{"key": "a", "status": "completed"}])
    assert buffer.take() == {
        "progress": 2.0,
        "message": "a",
        "items": [{"key": "a", "name": "A", "status": "completed"}, {"key": "b", "status": "queued"}],
    }
    assert buffer.empty
    assert buffer.take() == {}


def test_a_checkpoint_never_overtakes_the_items_said_before_it(buffer: ReportBuffer) -> None:
    buffer.add_items({"key": str(number)} for number in range(MAX_ITEMS * 2 + 1))
    buffer.set_checkpoint({"done": 2001})
    reports = [buffer.take() for _ in range(3)]
    assert [len(report["items"]) for report in reports] == [MAX_ITEMS, MAX_ITEMS, 1]
    assert ["checkpoint" in report for report in reports] == [False, False, True]


def test_a_report_stays_under_the_size_of_a_body(buffer: ReportBuffer) -> None:
    big = "x" * 4000
    buffer.add_items({"key": str(number), "result": big} for number in range(500))
    sizes = []
    while not buffer.empty:
        sizes.append(sum(len(item["result"]) for item in buffer.take()["items"]))
    assert sum(sizes) == 500 * 4000
    assert max(sizes) <= REPORT_LIMIT.byte_count


def test_a_new_stage_and_a_full_report_are_urgent(buffer: ReportBuffer, woken: list[bool]) -> None:
    buffer.add_fields(progress=1.0)
    buffer.add_fields(progress=2.0)
    assert woken == [False]
    buffer.add_fields(stage="scanning")
    assert woken == [False, True]
    buffer.add_fields(stage="scanning")
    assert woken == [False, True]
    buffer.add_items({"key": str(number)} for number in range(MAX_ITEMS))
    assert woken == [False, True, True]


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, "\ud800"])
def test_what_is_no_json_raises_where_it_was_said(buffer: ReportBuffer, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        buffer.add_items([{"key": "a", "result": value}])
    assert buffer.empty


def test_a_checkpoint_is_kept_as_it_was(buffer: ReportBuffer) -> None:
    checkpoint = {"done": [1]}
    buffer.set_checkpoint(checkpoint)
    checkpoint["done"].append(2)
    assert buffer.take() == {"checkpoint": {"done": [1]}}
