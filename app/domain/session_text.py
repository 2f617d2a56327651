"""Codes and tokens of browser sessions as text: how they are generated and read, without the database."""

import hashlib
import re
import secrets
from typing import Final, NamedTuple
from uuid import UUID

CODE_BYTES: Final = 16
"""Of randomness in a one-time code, which lives for five minutes."""
TOKEN_BYTES: Final = 32
_CODE: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_TOKEN: Final = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{43})")


class SessionRef(NamedTuple):
    """A session, by its project and the digest of its secret."""

    project_id: UUID
    digest: bytes


def make_code() -> tuple[str, bytes]:
    """Generate a one-time code; returns it and its digest."""
    code = secrets.token_urlsafe(CODE_BYTES)
    return code, hashlib.sha256(code.encode()).digest()


def code_digest(code: str) -> bytes | None:
    """Digest a code; None for what cannot be one."""
    return hashlib.sha256(code.encode()).digest() if _CODE.fullmatch(code) else None


def make_token(project_id: UUID) -> str:
    """Generate the token of a session. It names the project, so that its session is looked up as all data is."""
    return f"{project_id.hex}.{secrets.token_urlsafe(TOKEN_BYTES)}"


def session_ref(token: str) -> SessionRef | None:
    """Read a token; None for what cannot be one."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    return SessionRef(UUID(found[1]), hashlib.sha256(token.encode()).digest())


def form_token(token: str) -> str:
    """Derive what a session's own pages send with each change, and other sites cannot know.

    Another digest than the one that is stored, and not to be turned back into the session's token.
    """
    return hashlib.sha256(b"form of " + token.encode()).hexdigest()
