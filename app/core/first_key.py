"""The first key of a database, which is made before the service starts."""

from app.core.keys import ApiKeys
from app.db.engine import Database, make_engine


async def prepare(database_url: str, bootstrap_key: str | None) -> str | None:
    """Install the first key in an empty database and give it; None where there are keys already."""
    database = Database(make_engine(database_url, pool_size=1))
    try:
        return await ApiKeys(database).install_first(bootstrap_key)
    finally:
        await database.close()
