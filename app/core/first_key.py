"""The first key of a database, which is made, or checked, before the service starts."""

from app.core.keys import ApiKeys
from app.db import key_lookups
from app.db.engine import Database, make_engine
from app.domain.key_text import digest_of


async def prepare(database_url: str, bootstrap_key: str | None) -> str | None:
    """Install the first key in an empty database and give it; None where there are keys already."""
    database = Database(make_engine(database_url, pool_size=1))
    try:
        return await ApiKeys(database).install_first(bootstrap_key)
    finally:
        await database.close()


async def is_valid(database_url: str, key: str) -> bool:
    """Whether the database knows the key, and it has not ended."""
    database = Database(make_engine(database_url, pool_size=1))
    try:
        return bool(await database.read(key_lookups.select_by_digests, [digest_of(key)]))
    finally:
        await database.close()
