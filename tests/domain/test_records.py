"""Records made quickly are the dataclasses that they were."""

from dataclasses import dataclass, field, fields, is_dataclass, replace

import pytest

from app.domain.records import quick


@quick
@dataclass(frozen=True, slots=True)
class _Placed:
    first: int
    second: str = "s"
    third: list[int] = field(default_factory=list, compare=False)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class _Named(_Placed):
    fourth: int


def test_record_is_made_as_it_was_declared() -> None:
    assert _Placed(1) == _Placed(1, "s", [2])
    assert _Placed(1).third is not _Placed(1).third
    assert _Placed(second="t", first=1) == replace(_Placed(1), second="t") != _Placed(1)
    assert (_Named(1, fourth=4).fourth, _Named(1, "t", fourth=4).second) == (4, "t")
    assert repr(_Named(1, fourth=4)).endswith("_Named(first=1, second='s', third=[], fourth=4)")


def test_record_is_hashed_by_what_is_compared() -> None:
    assert len({_Placed(1), _Placed(1, third=[1]), _Placed(2)}) == 2


def test_arguments_are_those_of_the_fields() -> None:
    for arguments, keywords in (((), {}), ((1, "s", [], 4), {}), ((1,), {"fifth": 5})):
        with pytest.raises(TypeError):
            _Named(*arguments, **keywords)  # type: ignore[arg-type]


def test_record_has_no_other_attributes() -> None:
    assert is_dataclass(_Placed)
    assert [each.name for each in fields(_Named)] == ["first", "second", "third", "fourth"]
    with pytest.raises(AttributeError):
        _Placed(1).other = 1  # type: ignore[attr-defined]
