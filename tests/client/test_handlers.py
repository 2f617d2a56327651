"""Which functions a worker takes: a mapping, marked functions, modules, or several of these."""

import functools
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from jobtrack_client import AsyncJobtrackClient, JobContext, NoHandlerError, Worker, job
from jobtrack_client.handlers import handlers_of


@job("nightly")
def nightly(ctx: JobContext) -> object:
    return ctx.payload


@job("weekly")
@job("monthly")
async def rare(ctx: JobContext) -> object:
    return ctx.payload


def module(**names: Any) -> ModuleType:
    made = ModuleType("made")
    vars(made).update(names)
    return made


class Proxy:
    """As those of web frameworks, which raise outside of a request."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_a_marked_function_stays_the_function_that_it_is() -> None:
    class Context:
        payload = 7

    assert nightly.__name__ == "nightly"
    assert nightly(Context()) == 7  # type: ignore[arg-type]


def test_handlers_of_each_kind_of_source() -> None:
    both = {"nightly": nightly, "weekly": rare, "monthly": rare}
    assert handlers_of({"own": print}) == {"own": print}
    assert handlers_of(nightly) == {"nightly": nightly}
    assert handlers_of([nightly, rare]) == both
    holder = module(nightly=nightly, rare=rare, again=nightly, plain=print, proxy=Proxy(), mock=MagicMock(), number=1)
    assert handlers_of(holder) == handlers_of([holder]) == both
    timed = functools.wraps(nightly)(lambda ctx: ctx)
    assert handlers_of(module(nightly=timed)) == {"nightly": timed}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({}, "types holds no handler"),
        ([], "types holds no handler"),
        (module(plain=print), "types holds no handler"),
        (print, "print is a function without a type"),
        ([nightly, module(nightly=rare, other=job("nightly")(lambda _: None))], "two handlers for the type 'nightly'"),
        ("nightly", "types holds no handler, it is 'nightly'"),
        ({"nightly": "nightly"}, "maps a type to a function"),
        ({1: print}, "maps a type to a function"),
    ],
    ids=["empty", "none", "module", "unmarked", "twice", "text", "no-function", "no-text"],
)
def test_a_source_without_handlers_says_why(source: Any, sentence: str) -> None:
    with pytest.raises(NoHandlerError, match=sentence):
        Worker(AsyncJobtrackClient("http://jobs.test", "k"), types=source)


@pytest.mark.parametrize("wrong", [print, ""])
def test_a_mark_without_a_type_says_how_it_is_written(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r'@job\("nightly"\)'):
        job(wrong)


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"grace_seconds": -1}, {"grace_seconds": float("nan")}])
def test_an_option_that_no_worker_can_have_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Worker(AsyncJobtrackClient("http://jobs.test", "k"), types=nightly, **options)
