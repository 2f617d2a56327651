"""The link that a starting service prints on a terminal: it signs a browser in with the first key."""

from __future__ import annotations

import asyncio

from app.core.browser_sessions import make_code_for_key
from app.db.engine import Database, make_engine
from app.logs import hushed


@hushed("app.core.audit")
def sign_in_path(database_url: str, key: str, *, page: str | None = None) -> str | None:
    """Create a one-time code for a key; returns the path to open, None if the key is not valid.

    It leads on to `page`, a path of the service; None is the start page.
    """
    return asyncio.run(_path(database_url, key, "" if page is None else f"?next={page}"))


async def _path(database_url: str, key: str, query: str) -> str | None:
    database = Database(make_engine(database_url, pool_size=1))
    try:
        code = await make_code_for_key(database, key)
    finally:
        await database.close()
    return None if code is None else f"/sign-in{query}#{code}"
