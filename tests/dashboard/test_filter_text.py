"""The filter of the page of jobs as text: what it means, what is refused, how it is written and completed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.dashboard.jobs.completion import LastWord, completions, last_word
from app.dashboard.jobs.filter_text import FILTERS, MAX_TEXT, FilterTextError, JobQuery, parse, write
from app.domain import times
from app.domain.job_filter import JobFilter
from app.domain.states import JobState

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def conditions(text: str) -> JobFilter:
    return parse(text, NOW).conditions


def refusal(text: str) -> str:
    with pytest.raises(FilterTextError) as refused:
        parse(text, NOW)
    return refused.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", JobFilter()),
        ("  \t ", JobFilter()),
        ("status:failed", JobFilter(states=frozenset({JobState.FAILED}))),
        ("STATUS:Failed,expired status:failed", JobFilter(states=frozenset({JobState.FAILED, JobState.EXPIRED}))),
        ("queue:docs queue:a/b", JobFilter(queues=frozenset({"docs", "a/b"}))),
        ('type:"nightly etl"', JobFilter(types=frozenset({"nightly etl"}))),
        ('"type":x', JobFilter(types=frozenset({"x"}))),
        ("type:a:b", JobFilter(types=frozenset({"a:b"}))),
        (r'type:"a \"b\" \\c" queue:\d', JobFilter(types=frozenset({'a "b" \\c'}), queues=frozenset({"\\d"}))),
        ("label:team=search label:x=", JobFilter(labels=(("team", "search"), ("x", "")))),
        ('label:"a=b"=c=d', JobFilter(labels=(("a=b", "c=d"),))),
        ("collection:wiki", JobFilter(collection="wiki")),
        (f"original:{ID}", JobFilter(original_job_id=ID)),
        ("since:24h", JobFilter(created_after=NOW - timedelta(hours=24))),
        (
            "since:30m until:90s",
            JobFilter(created_after=NOW - timedelta(minutes=30), created_before=NOW - timedelta(seconds=90)),
        ),
        ("since:2026-11-27T08:00Z", JobFilter(created_after=datetime(2026, 11, 27, 8, tzinfo=UTC))),
        ("since:2026-11-27t08:00:00+02:00", JobFilter(created_after=datetime(2026, 11, 27, 6, tzinfo=UTC))),
        ("since:2026-11-27", JobFilter(created_after=datetime(2026, 11, 27, tzinfo=UTC))),
        ("since:999999w", JobFilter(created_after=times.FIRST)),
        ("since:0001-01-01T00:00+14:00", JobFilter(created_after=times.FIRST)),
    ],
)
def test_words_are_conditions(text: str, expected: JobFilter) -> None:
    assert parse(text, NOW) == JobQuery(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (str(ID), JobQuery(job_id=ID)),
        (str(ID).upper(), JobQuery(job_id=ID)),
        ("099a8057", JobQuery(id_end="099a8057")),
        (" B302099A8057 ", JobQuery(id_end="b302099a8057")),
    ],
)
def test_a_word_alone_is_an_id(text: str, expected: JobQuery) -> None:
    found = parse(text, NOW)
    assert found == expected
    assert found.by_id


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("stauts:failed", "no filter “stauts”. Did you mean status?"),
        ("<script>:x", "no filter “<script>”."),
        (f"{'x' * 500}:y", "no filter “xxx"),
        (":x", "no filter “”"),
        ("status:faild", "no status “faild”. Did you mean failed?"),
        ("status:zzz", "There are pending, "),
        ("status:", "status: wants a status"),
        ("status:failed,", "status: wants a status"),
        ("queue:", "queue: wants a name"),
        ('type:""', "type: wants a name"),
        (f"queue:{'q' * 256}", "at most 255"),
        (" ".join(f"type:t{n}" for n in range(21)), "20 times"),
        ("collection:a collection:b", "collection: may be written once"),
        ("label:team", "label:name=value"),
        ("label:=x", "label:name=value"),
        (f"label:a={'v' * 256}", "at most 255"),
        (" ".join(f"label:l{n}=v" for n in range(51)), "at most 50 labels"),
        ("since:yesterday", "since: wants a length such as 30m, 24h or 7d"),
        ("since:٣h", "since: wants a length"),
        ("since:1h since:2h", "since: may be written once"),
        ("since:1969-12-31", "from 1970"),
        ("until:9999-12-31T23:59:59Z", "from 1970"),
        ("original:099a8057", "original: takes the whole id"),
        ('type:"open', "A quotation mark is not closed."),
        ("foo", "“foo” is neither a filter"),
        ("status:failed foo", "“foo” is neither a filter"),
        ("099a8057 status:failed", "An id stands alone"),
        (f"{ID} {ID}", "An id stands alone"),
        ("x" * (MAX_TEXT + 1), "at most 2,000 characters"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(text: str, part: str) -> None:
    assert part in refusal(text)
    assert len(refusal(text)) < 250


HOSTILE = [
    '"',
    "\\",
    '\\"',
    "a b",
    "=",
    ":",
    "a=b:c",
    " ",
    "\t",
    "\n",
    "\u2028",
    "<b>'&",
    "\u202ex",
    "🎉",
    "ﬁ",
    "x" * 255,
]


@pytest.mark.parametrize("value", HOSTILE)
def test_every_value_can_be_written(value: str) -> None:
    conditions_ = JobFilter(
        types=frozenset({value, "t"}),
        queues=frozenset({value}),
        collection=value,
        labels=((value, value), ("z", "")) if value < "z" else (("z", ""), (value, value)),
        original_job_id=ID,
        states=frozenset({JobState.FAILED, JobState.RUNNING}),
        created_after=NOW - timedelta(microseconds=1),
        created_before=NOW,
    )
    assert conditions(write(conditions_)) == conditions_


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [f"{name}:" for name in FILTERS]),
        ("status:failed ", [f"status:failed {name}:" for name in FILTERS]),
        ("st", ["status:"]),
        ("queue:a T", ["queue:a type:"]),
        ("status:ca", ["status:cancelling", "status:cancelled"]),
        ("x status:failed,exp", ["x status:failed,expired"]),
        ("status:zzz", []),
        ("nothing:x", []),
        ("since:2", ["since:24h"]),
    ],
)
def test_the_last_word_is_completed(text: str, expected: list[str]) -> None:
    word = last_word(text)
    assert word is not None
    assert completions(word) == expected


def test_values_are_completed_as_they_are_written() -> None:
    assert completions(LastWord("a ", "type", "ni"), ['"nightly etl"', "night", "x"]) == [
        'a type:"nightly etl"',
        "a type:night",
    ]


@pytest.mark.parametrize("text", ['type:"ni', 'type:"a b"', '"'])
def test_a_quotation_is_not_completed(text: str) -> None:
    assert last_word(text) is None
