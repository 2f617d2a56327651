"""What handlers say, within the limits that the service declares."""

import json
from typing import Any

import pytest

from app.web.body import JSON_BODY
from jobtrack_client import limits
from jobtrack_client.buffer import REPORT_LIMIT, ReportBuffer
from jobtrack_client.updates import Size, level_of, log_lines, size_of
from tests.service_process import ROOT

SCHEMAS = json.loads((ROOT / "openapi" / "native.json").read_text())["components"]["schemas"]


def reports(buffer: ReportBuffer) -> list[dict[str, Any]]:
    taken = []
    while not buffer.empty:
        taken.append(buffer.take())
    return taken


def test_the_limits_are_those_of_the_service() -> None:
    report, line, failure = (SCHEMAS[name]["properties"] for name in ("ReportIn", "LogLineIn", "FailIn"))
    assert report["items"]["maxItems"] == limits.MAX_ITEMS
    assert report["logs"]["maxItems"] == limits.MAX_LOGS
    assert report["stage"]["anyOf"][0]["maxLength"] == failure["code"]["maxLength"] == limits.NAME_CHARACTERS
    assert report["message"]["anyOf"][0]["maxLength"] == failure["message"]["maxLength"] == limits.TEXT_CHARACTERS
    assert line["message"]["maxLength"] == limits.LOG_CHARACTERS
    assert SCHEMAS["LogLevel"]["enum"] == list(limits.LOG_LEVELS)
    assert (JSON_BODY.max_bytes, JSON_BODY.max_nodes) == (limits.MAX_BODY_BYTES, limits.MAX_BODY_VALUES)
    assert failure["retry_after_seconds"]["anyOf"][0]["maximum"] == limits.MAX_RETRY_AFTER_SECONDS


@pytest.mark.parametrize(
    ("level", "sent"),
    [
        *((level, level) for level in limits.LOG_LEVELS),
        ("WARNING", "warning"),
        (" Warn ", "warning"),
        ("fatal", "critical"),
        ("TRACE", "debug"),
        ("verbose\x00", "info"),
        ("", "info"),
        (0, "debug"),
        (20, "info"),
        (35, "warning"),
        (1000, "critical"),
        (None, "info"),
        (object(), "info"),
    ],
)
def test_odd_levels_are_taken(level: object, sent: str) -> None:
    assert level_of(level) == sent


def test_a_long_line_becomes_several_at_the_ends_of_its_own_lines() -> None:
    text = "".join(f"{number:05} {'x' * 90}\n" for number in range(400))
    lines = [line["message"] for line in log_lines("info", text)]
    assert "".join(lines) == text
    assert len(lines) == 3
    assert all(len(line) <= limits.LOG_CHARACTERS and line.endswith("\n") for line in lines)


def test_a_line_without_end_is_cut() -> None:
    lines = [line["message"] for line in log_lines("info", "y" * 10**6)]
    assert [len(line) for line in lines] == [limits.LOG_CHARACTERS] * 8
    assert lines[-1].endswith("…")


@pytest.mark.parametrize("message", [None, b"\xff", ValueError("caf\udce9"), "\x00", 5])
def test_any_message_can_be_logged(message: object) -> None:
    buffer = ReportBuffer(lambda _: None)
    buffer.add_log("info", message)
    ((line,),) = (report["logs"] for report in reports(buffer))
    json.dumps(line, ensure_ascii=False).encode()
    assert "\x00" not in line["message"]


@pytest.mark.parametrize("value", [1, "a,b", [], {}, [1, [2, {"a": 3, "b": [None]}]], {"a": "[{,"}])
def test_the_number_of_values_is_never_too_small(value: object) -> None:
    def count(value: Any) -> int:
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(count(child) for child in below)

    assert size_of(value).values >= count(value)


def test_reports_are_cut_by_bytes_over_all_their_parts() -> None:
    buffer = ReportBuffer(lambda _: None)
    buffer.add_fields(stage="s" * 255, message="\x01" * 4096)
    buffer.add_items({"key": f"{number}", "message": "i" * 4000} for number in range(250))
    for _ in range(120):
        buffer.add_log("info", "l" * 12_000)
    buffer.set_checkpoint("c" * 700_000)
    taken = reports(buffer)
    assert all(size_of(report).within(Size(limits.MAX_BODY_BYTES - 4096, limits.MAX_BODY_VALUES)) for report in taken)
    assert sum(len(report.get("items", [])) for report in taken) == 250
    assert sum(len(report.get("logs", [])) for report in taken) == 120
    assert ["checkpoint" in report for report in taken] == [False] * (len(taken) - 1) + [True]


def test_reports_are_cut_by_the_number_of_their_values() -> None:
    buffer = ReportBuffer(lambda _: None)
    buffer.add_items({"key": f"{number}", "result": [0] * 900} for number in range(100))
    taken = reports(buffer)
    assert sum(len(report["items"]) for report in taken) == 100
    assert all(size_of(report).values <= REPORT_LIMIT.values for report in taken)


def test_texts_of_a_job_are_cut_and_its_progress_is_bounded() -> None:
    buffer = ReportBuffer(lambda _: None)
    buffer.add_fields(stage="s" * 300, message="\ud800" + "m" * 5000, progress=100.00000000000001)
    report = buffer.take()
    assert (len(report["stage"]), len(report["message"]), report["progress"]) == (255, 4096, 100.0)
    buffer.add_fields(progress=float("nan"))
    assert buffer.empty


@pytest.mark.parametrize("result", [float("nan"), {1, 2}, "\ud800", "x" * 600_000, {("a", 1): 2}])
def test_an_item_that_cannot_be_sent_is_dropped_and_logged(result: object) -> None:
    buffer = ReportBuffer(lambda _: None)
    buffer.add_items([{"key": "a"}, {"key": "b", "result": result}, {"key": "c\udce9"}])
    report = buffer.take()
    assert [item["key"] for item in report["items"]] == ["a", "c\\udce9"]
    (line,) = report["logs"]
    assert line["level"] == "warning"
    assert "item 'b' was refused and dropped" in line["message"]


def test_a_handler_that_gets_every_item_wrong_does_not_fill_the_log() -> None:
    buffer = ReportBuffer(lambda _: None)
    buffer.add_items({"key": f"{number}", "result": {1}} for number in range(1000))
    lines = [line for report in reports(buffer) for line in report["logs"]]
    assert len(lines) == 100


def test_after_the_end_only_the_worker_is_heard() -> None:
    buffer = ReportBuffer(lambda _: None)
    buffer.close()
    buffer.add_fields(progress=1.0)
    buffer.add_items([{"key": "a"}, {"key": "b", "result": {1}}])
    buffer.add_log("info", "late")
    buffer.set_checkpoint(1)
    assert buffer.empty
    buffer.add_worker_log("error", "the handler raised")
    assert [line["message"] for line in buffer.take()["logs"]] == ["the handler raised"]


def test_a_checkpoint_that_no_report_holds_raises() -> None:
    with pytest.raises(ValueError, match="A checkpoint has at most"):
        ReportBuffer(lambda _: None).set_checkpoint("c" * 2**20)
