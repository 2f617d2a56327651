"""Managing keys in a database of the test's own: the last operator, and when a key was last used."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from app.core import remembered_principals as module
from app.core.key_admin import KeyAdmin, NewKey
from app.core.keys import ApiKeys
from app.db.key_lookups import SELECT_BY_DIGESTS
from app.db.keys import revoke
from app.db.statement import Statement
from app.domain.audit import Actor
from app.domain.errors import ForbiddenError, LastOperatorKeyError, UnauthorizedError
from app.domain.principal import Principal, Scope, StoredKey
from app.runtime import Runtime

PAST, FAR = datetime(2001, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture
def key_admin(runtime: Runtime) -> KeyAdmin:
    return runtime.services.key_admin


@pytest_asyncio.fixture
async def first(runtime: Runtime) -> Actor:
    key = await runtime.services.keys.install_first(None)
    assert key is not None
    return Actor(await runtime.services.keys.authenticate(key, "a"))


def operator(expires_at: datetime | None = None) -> NewKey:
    return NewKey(name="another", scopes=frozenset({Scope.OPERATOR}), expires_at=expires_at)


async def test_last_operator_key_can_neither_be_revoked_nor_given_an_end(key_admin: KeyAdmin, first: Actor) -> None:
    before = await key_admin.get(first.principal, first.principal.key_id)
    with pytest.raises(LastOperatorKeyError):
        await key_admin.revoke(first, first.principal.key_id)
    for end in (PAST, FAR):
        with pytest.raises(LastOperatorKeyError):
            await key_admin.set_expiry(first, first.principal.key_id, end)
    assert await key_admin.get(first.principal, first.principal.key_id) == before
    another, _ = await key_admin.create(first, operator())
    await key_admin.revoke(first, first.principal.key_id)
    with pytest.raises(LastOperatorKeyError):
        await key_admin.revoke(first, another.id)


async def test_operator_key_that_ends_does_not_succeed_one_that_lasts(key_admin: KeyAdmin, first: Actor) -> None:
    ending, _ = await key_admin.create(first, operator(FAR))
    with pytest.raises(LastOperatorKeyError):
        await key_admin.revoke(first, first.principal.key_id)
    await key_admin.set_expiry(first, ending.id, PAST)
    await key_admin.set_expiry(first, ending.id, FAR + timedelta(days=1))
    await key_admin.revoke(first, ending.id)


async def test_two_operators_cannot_end_each_others_keys_at_once(key_admin: KeyAdmin, first: Actor) -> None:
    for _ in range(5):
        another, _ = await key_admin.create(first, operator())
        ends = await asyncio.gather(
            key_admin.revoke(first, first.principal.key_id), key_admin.revoke(first, another.id), return_exceptions=True
        )
        assert sum(isinstance(end, LastOperatorKeyError) for end in ends) == 1
        if not isinstance(ends[0], LastOperatorKeyError):
            first = Actor(Principal(first.principal.project_id, another.id, "another", frozenset(Scope)))


def in_hours(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


async def test_lifetimes_are_inherited(key_admin: KeyAdmin, first: Actor) -> None:
    def actor(key: StoredKey) -> Actor:
        principal = Principal(key.project_id, key.id, key.name, key.scopes, key.queues, key.expires_at)
        return replace(first, principal=principal)

    async def make(maker: Actor, expires_at: datetime | None) -> StoredKey:
        key = NewKey(name="n", scopes=frozenset({Scope.ADMIN}), expires_at=expires_at)
        return (await key_admin.create(maker, key))[0]

    soon, later, last = in_hours(1), in_hours(2), in_hours(3)
    assert (await make(first, None)).expires_at is None
    maker = await make(first, later)
    assert (await make(actor(maker), None)).expires_at == later
    assert (await make(actor(maker), last)).expires_at == later
    heir = await make(actor(maker), soon)
    assert heir.expires_at == soon

    # Its own end: shorter, never longer, however it is asked for.
    for end in (None, last):
        with pytest.raises(ForbiddenError, match="its own life"):
            await key_admin.set_expiry(actor(maker), maker.id, end)
    assert (await key_admin.get(first.principal, maker.id)).expires_at == later
    assert (await key_admin.set_expiry(actor(maker), maker.id, later)).value.expires_at == later

    # Another's: up to its own end, and none is shortened by it.
    for end in (None, last):
        assert (await key_admin.set_expiry(actor(maker), heir.id, end)).value.expires_at == later
    for own, end in ((None, None), (last, None), (last, in_hours(9))):
        other = await make(first, own)
        assert (await key_admin.set_expiry(actor(maker), other.id, end)).value.expires_at == own
        assert (await key_admin.set_expiry(actor(maker), other.id, soon)).value.expires_at == soon
    assert (await key_admin.set_expiry(first, heir.id, None)).value.expires_at is None


async def test_key_without_the_scope_operator_is_revoked_freely(key_admin: KeyAdmin, first: Actor) -> None:
    made, _ = await key_admin.create(first, NewKey(name="n", scopes=frozenset({Scope.ADMIN})))
    await key_admin.revoke(first, made.id)
    assert (await key_admin.get(first.principal, made.id)).revoked_at is not None


async def test_use_of_a_key_is_written_once_for_many_requests(
    runtime: Runtime, key_admin: KeyAdmin, first: Actor
) -> None:
    keys: ApiKeys = runtime.services.keys
    made, key = await key_admin.create(first, NewKey(name="n", scopes=frozenset({Scope.READ})))
    assert key is not None
    for _ in range(3):
        await keys.authenticate(key, "a")
    assert (await key_admin.get(first.principal, made.id)).last_used_at is None
    await keys.write_uses()
    used = (await key_admin.get(first.principal, made.id)).last_used_at
    assert used is not None
    assert used >= made.created_at
    await keys.authenticate(key, "a")
    await keys.write_uses()
    assert (await key_admin.get(first.principal, made.id)).last_used_at == used, (
        "a remembered key is not even looked up"
    )


async def test_key_read_while_another_was_revoked_is_not_remembered(
    runtime: Runtime, key_admin: KeyAdmin, first: Actor
) -> None:
    keys: ApiKeys = runtime.services.keys
    _, key = await key_admin.create(first, NewKey(name="n", scopes=frozenset({Scope.READ})))
    assert key is not None
    reading = asyncio.create_task(keys.authenticate(key, "a"))
    await asyncio.sleep(0)
    keys.forget([])
    await reading
    assert key not in keys._principals._remembered
    await keys.authenticate(key, "a")
    assert key in keys._principals._remembered


async def test_only_the_key_that_was_revoked_is_forgotten(runtime: Runtime, key_admin: KeyAdmin, first: Actor) -> None:
    keys: ApiKeys = runtime.services.keys
    made = [await key_admin.create(first, NewKey(name="n", scopes=frozenset({Scope.READ}))) for _ in range(2)]
    (gone, gone_key), (_, kept_key) = made
    assert gone_key is not None
    assert kept_key is not None
    for key in (gone_key, kept_key):
        await keys.authenticate(key, "a")
    await key_admin.revoke(first, gone.id)
    assert keys.remembered(gone_key) is None
    assert keys.remembered(kept_key) is not None


async def test_a_crowd_with_a_new_key_is_one_look_up(runtime: Runtime, key_admin: KeyAdmin, first: Actor) -> None:
    keys: ApiKeys = runtime.services.keys
    _, key = await key_admin.create(first, NewKey(name="n", scopes=frozenset({Scope.READ})))
    assert key is not None
    looked: list[Statement[Any, Any]] = []
    runtime.database.on_statement = looked.append
    found = await asyncio.gather(*(keys.authenticate(key, "a") for _ in range(64)))
    assert len({one.key_id for one in found}) == 1
    assert [statement for statement in looked if statement is SELECT_BY_DIGESTS] == [SELECT_BY_DIGESTS]


async def test_a_key_in_use_is_renewed_before_anybody_has_to_wait(
    runtime: Runtime, key_admin: KeyAdmin, first: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: ApiKeys = runtime.services.keys
    made, key = await key_admin.create(first, NewKey(name="n", scopes=frozenset({Scope.READ})))
    assert key is not None
    await keys.authenticate(key, "a")
    monkeypatch.setattr(module, "RENEWED_SECONDS", 0.0)
    # Behind the feed's back: only a look-up can find it.
    async with runtime.database.transaction() as connection:
        await revoke(connection, first.principal.project_id, made.id)
    assert keys.remembered(key) is not None
    while keys._principals._looking:
        await asyncio.sleep(0.01)
    assert keys.remembered(key) is None
    with pytest.raises(UnauthorizedError):
        await keys.authenticate(key, "a")
