"""A project of the test's own in the test's own database."""

from uuid import UUID

import pytest_asyncio

from app.db.engine import Database
from tests import factories


@pytest_asyncio.fixture
async def project_id(database: Database) -> UUID:
    async with database.transaction() as connection:
        return await factories.project(connection)
