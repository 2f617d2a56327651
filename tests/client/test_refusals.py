"""What is sent in place of a refused report."""

from collections import deque
from typing import Any

from jobtrack_client.errors import Unprocessable
from jobtrack_client.refusals import Refusal, remaining


def refused(*faults: tuple[str, str]) -> Unprocessable:
    errors = [{"pointer": pointer, "code": "c", "message": message} for pointer, message in faults]
    return Unprocessable("So it is", code="invalid", status=422, problem={"errors": errors})


REPORT = {
    "stage": "",
    "progress": 7.0,
    "items": [{"key": "a"}, {"key": "b", "status": "complete"}, {"key": "c"}],
    "logs": [{"level": "info", "message": "m"}],
    "checkpoint": {"n": 1},
}


def test_what_is_named_is_left_out_and_the_rest_is_sent() -> None:
    reports, refusals = remaining(
        REPORT, refused(("/stage", "short"), ("/items/1/status", "no such"), ("/logs/0", "x"))
    )
    assert reports == [{"progress": 7.0, "items": [{"key": "a"}, {"key": "c"}], "checkpoint": {"n": 1}}]
    assert refusals == [
        Refusal("stage", "", "/stage: short"),
        Refusal("items", {"key": "b", "status": "complete"}, "/status: no such"),
        Refusal("logs", {"level": "info", "message": "m"}, "x"),
    ]


def test_nothing_is_sent_if_nothing_is_left() -> None:
    assert remaining({"stage": ""}, refused(("/stage", "short")))[0] == []


def test_a_fault_that_is_not_named_is_found_by_halves() -> None:
    bad: dict[str, Any] = {"key": "bad"}
    pending: deque[dict[str, Any]] = deque()
    pending.append({"progress": 1.0, "items": [{"key": f"{n}"} for n in range(300)] + [bad], "checkpoint": 1})
    taken: list[Any] = []
    found, sent = [], 0
    while pending:
        report = pending.popleft()
        sent += 1
        if bad not in report.get("items", []):
            taken.extend(report.get("items", []))
            taken.extend(name for name in report if name != "items")
            continue
        reports, refusals = remaining(report, refused(("", "nested too deep"), ("/token", "odd"), ("/items/x", "odd")))
        pending.extendleft(reversed(reports))
        found += refusals
    assert found == [Refusal("items", bad, "So it is")]
    assert taken == ["progress", *({"key": f"{n}"} for n in range(300)), "checkpoint"]
    assert sent < 25


def test_a_heartbeat_that_is_refused_has_no_part_to_leave_out() -> None:
    assert remaining({}, refused(("/lease_seconds", "odd"))) == ([], [Refusal("report", None, "So it is")])
