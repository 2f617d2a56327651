"""A key that is revoked at one process is refused by the other, with the feed at once and without it in 2 seconds."""

import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.races.calls import LISTENING, cut, post
from tests.races.conftest import Pair

LIMIT, LIMIT_DEAF = 1.0, 2.5
"""The feed tells in milliseconds, and what is remembered ends after two seconds; with room for a slow machine."""


@pytest_asyncio.fixture
async def made(pair: Pair) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    """A key's id, and a client of the second process that has just used it."""
    key = await post(pair.first, "/v1/keys", name="n", scopes=["read"])
    headers = {"Authorization": f"Bearer {key['key']}"}
    async with httpx.AsyncClient(base_url=pair.second.base_url, headers=headers, timeout=30) as client:
        assert (await client.get("/v1/jobs")).status_code == 200
        yield key["id"], client


async def seconds_until_refused(client: httpx.AsyncClient) -> float:
    began = time.monotonic()
    while (answer := await client.get("/v1/jobs")).status_code == 200:
        pass
    assert answer.status_code == 401
    return time.monotonic() - began


@pytest.mark.parametrize("deaf", [False, True])
async def test_revoked_key_is_refused_everywhere_within_two_seconds(
    pair: Pair, made: tuple[str, httpx.AsyncClient], deaf: bool
) -> None:
    key_id, client = made
    if deaf:
        await cut(pair, LISTENING)
    assert (await pair.first.delete(f"/v1/keys/{key_id}")).status_code == 204
    assert await seconds_until_refused(client) < (LIMIT_DEAF if deaf else LIMIT)


@pytest.mark.parametrize("deaf", [False, True])
async def test_key_whose_end_was_set_is_refused_everywhere_within_two_seconds(
    pair: Pair, made: tuple[str, httpx.AsyncClient], deaf: bool
) -> None:
    key_id, client = made
    if deaf:
        await cut(pair, LISTENING)
    ended = await pair.first.put(f"/v1/keys/{key_id}", json={"expires_at": "2001-01-01T00:00:00Z"})
    assert ended.status_code == 200
    assert await seconds_until_refused(client) < (LIMIT_DEAF if deaf else LIMIT)
