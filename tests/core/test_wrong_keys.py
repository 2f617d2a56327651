"""Wrong keys: what they cost, when they are throttled, and that no right one is kept out for them."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from app.core.guesses import WRONG_KEYS_ALLOWED
from app.core.keys import ApiKeys
from app.db.key_lookups import SELECT_BY_DIGESTS
from app.db.statement import Statement
from app.domain.errors import ThrottledError, UnauthorizedError
from app.domain.key_text import digest_of, make_key
from app.runtime import Runtime

AT_ONCE = 400
CHOSEN = "a-bootstrap-key-that-somebody-chose"


@pytest.fixture
def keys(runtime: Runtime) -> ApiKeys:
    return runtime.services.keys


@pytest_asyncio.fixture
async def first(keys: ApiKeys) -> str:
    key = await keys.install_first(None)
    assert key is not None
    assert await keys.install_first(None) is None
    return key


@pytest.fixture
def look_ups(runtime: Runtime) -> list[Statement[Any, Any]]:
    """The statements by which keys are looked up, as they are sent."""
    sent: list[Statement[Any, Any]] = []
    runtime.database.on_statement = lambda statement: sent.append(statement) if statement is SELECT_BY_DIGESTS else None
    return sent


async def guess(keys: ApiKeys, key: str | None = None) -> type[Exception] | None:
    """Send a key, by default a wrong one; returns the error."""
    try:
        await keys.authenticate(key or make_key()[1], "guesser")
    except (UnauthorizedError, ThrottledError) as error:
        return type(error)
    return None


async def test_wrong_keys_of_an_address_are_throttled_and_right_ones_are_not(keys: ApiKeys, first: str) -> None:
    for _ in range(WRONG_KEYS_ALLOWED):
        assert await guess(keys) is UnauthorizedError
    assert await guess(keys) is ThrottledError
    assert await guess(keys, first) is None
    assert len(digest_of(first)) == 32


async def test_wrong_keys_at_once_are_counted_at_once_and_share_their_look_ups(
    keys: ApiKeys, first: str, look_ups: list[Any]
) -> None:
    ends = await asyncio.gather(*(guess(keys, first if n == AT_ONCE // 2 else None) for n in range(AT_ONCE)))
    assert ends.count(None) == 1
    assert ends.count(UnauthorizedError) == WRONG_KEYS_ALLOWED
    assert ends.count(ThrottledError) == AT_ONCE - 1 - WRONG_KEYS_ALLOWED
    assert len(look_ups) <= 2


async def test_right_keys_are_not_counted(keys: ApiKeys, first: str) -> None:
    for _ in range(WRONG_KEYS_ALLOWED + 1):
        keys.forget(None)
        assert await guess(keys, first) is None
    assert await guess(keys) is UnauthorizedError


async def test_key_of_our_form_with_a_typo_costs_no_query(keys: ApiKeys, first: str, look_ups: list[Any]) -> None:
    for place in range(3, len(first)):
        if first[place] != "_":
            wrong = first[:place] + ("a" if first[place] != "a" else "b") + first[place + 1 :]
            assert await guess(keys, wrong) is UnauthorizedError
    assert not look_ups


@pytest.mark.parametrize(
    "key",
    ["jt_short_text", CHOSEN, f"{make_key()[1]}x", make_key()[1][:-1], "jt_", "\ud800"],
    # Without a secret in them: every worker of `make test` must find the same tests.
    ids=["short", "chosen", "a letter more", "a letter less", "only a prefix", "no UTF-8"],
)
async def test_any_other_text_is_looked_up(keys: ApiKeys, first: str, look_ups: list[Any], key: str) -> None:
    del first
    assert await guess(keys, key) is UnauthorizedError
    assert len(look_ups) == 1


async def test_key_that_somebody_chose_is_found(keys: ApiKeys) -> None:
    assert await keys.install_first(CHOSEN) == CHOSEN
    assert await guess(keys, CHOSEN) is None
