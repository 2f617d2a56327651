"""Sessions of browsers: begun by a one-time code or a pasted key, good for the service's own pages, ended with their
key.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.core import audit
from app.core.remembered_principals import RememberedPrincipals
from app.db import browser_sessions, key_lookups
from app.db.browser_sessions import CODE_KEPT
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.audit import Actor
from app.domain.errors import UnauthorizedError
from app.domain.key_text import digest_of
from app.domain.principal import KeyChange, Principal
from app.domain.session_text import SessionRef, code_digest, make_code, make_token, session_ref
from app.live.read_batcher import ReadBatcher

WRITE_USES_SECONDS: Final = 60.0
"""A session's last use is stored once a minute at most: it ends after hours without any."""

_NO_CODE: Final = "This link has been used, or is older than five minutes. Print a new one with `jobtrack open`."
_OVER: Final = "The session is over. Sign in again."


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has just begun."""

    token: str
    """What the browser sends; stored nowhere."""
    principal: Principal


class BrowserSessions:
    """Begins, checks and ends sessions. A check costs a statement a second at most, like that of a key."""

    def __init__(self, database: Database) -> None:
        self._database = database
        reads: ReadBatcher[SessionRef, Principal] = ReadBatcher(database, browser_sessions.select_by_digests)
        self._principals = RememberedPrincipals(reads, _known_ref, self._note_use)
        self._used: set[SessionRef] = set()

    async def make_code(self, actor: Actor) -> tuple[str, float]:
        """Create a one-time code that signs a browser in with this key; returns it, and the seconds that it is good."""
        code, digest = make_code()
        await self._database.slow(actor.principal.project_id).write(_insert_code, actor, digest)
        return code, CODE_KEPT.total_seconds()

    async def principal_of_code(self, code: str) -> Principal:
        """Return whom a code would sign in as, without using it up; raises UnauthorizedError for one that is over."""
        digest = code_digest(code)
        found = None if digest is None else await self._database.slow(None).read(_principal_of_code, digest)
        if found is None:
            raise UnauthorizedError(_NO_CODE)
        return found

    async def begin_with_code(self, code: str) -> Session:
        """Use a code up and begin a session with its key."""
        digest = code_digest(code)
        begun = None if digest is None else await self._database.slow(None).write(_begin_with_code, digest)
        if begun is None:
            raise UnauthorizedError(_NO_CODE)
        return begun

    async def begin(self, principal: Principal) -> Session:
        """Begin a session with a key that was checked."""
        return await self._database.slow(principal.project_id).write(_begin, principal)

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of a session; raises UnauthorizedError when it or its key has ended."""
        found = self._principals.get(token)
        if found is None and session_ref(token) is not None:
            # Shielded: a caller that is cancelled does not cancel the look-up for the others.
            found = await asyncio.shield(self._principals.look_up(token))
        if found is None:
            raise UnauthorizedError(_OVER)
        return found

    async def end(self, token: str) -> None:
        """End a session at once. In other processes it is good for two more seconds at most."""
        ref = session_ref(token)
        if ref is not None:
            await self._database.slow(ref.project_id).write(browser_sessions.delete_session, ref)
        self._principals.forget_one(token)

    def forget(self, changes: Sequence[KeyChange] | None) -> None:
        """Forget the sessions of keys that some process changed or revoked; None: any may have been."""
        self._principals.forget(changes)

    def _note_use(self, session: SessionRef, principal: Principal) -> None:
        del principal
        self._used.add(session)

    async def upkeep(self) -> float:
        """Store which sessions were used since the last call, and forget those that are over; returns the seconds until
        the next call.
        """
        used, self._used = self._used, set()
        if used:
            try:
                await self._database.write(browser_sessions.mark_used, used)
            except Exception:
                self._used |= used  # For the next call.
                raise
        await self._database.write(browser_sessions.forget_ended)
        return WRITE_USES_SECONDS


async def _insert_code(connection: Connection, actor: Actor, digest: bytes) -> None:
    await browser_sessions.insert_code(connection, digest, actor.principal.ref)
    audit.record(connection, audit.code_made(actor))


async def make_code_for_key(database: Database, key: str) -> str | None:
    """Create a one-time code for a key that the service has at hand; None if the key is not valid."""
    digest = digest_of(key)
    found = await database.read(key_lookups.select_by_digests, [digest])
    if digest not in found:
        return None
    code, _ = await BrowserSessions(database).make_code(Actor(found[digest]))
    return code


def _known_ref(token: str) -> SessionRef:
    ref = session_ref(token)
    if ref is None:
        raise ValueError("no token of a session")
    return ref


async def _principal_of_code(connection: Connection, digest: bytes) -> Principal | None:
    key = await browser_sessions.select_code(connection, digest)
    return None if key is None else await key_lookups.select_principal(connection, key)


async def _begin_with_code(connection: Connection, digest: bytes) -> Session | None:
    key = await browser_sessions.take_code(connection, digest)
    principal = None if key is None else await key_lookups.select_principal(connection, key)
    return None if principal is None else await _begin(connection, principal)


async def _begin(connection: Connection, principal: Principal) -> Session:
    session = Session(make_token(principal.project_id), principal)
    await browser_sessions.insert_session(connection, _known_ref(session.token), principal.key_id)
    return session
