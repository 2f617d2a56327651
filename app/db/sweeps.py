"""What the clock has done to jobs without anybody saying so: leases that ran out and deadlines that passed.

These only find candidates; whether it is so is decided again by the fence of the transition, where the row is locked.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.tables import literals
from app.domain.job import JobKey
from app.domain.states import LIVE

SELECT_OVERDUE = text(f"""
    SELECT j.project_id, j.id FROM jobs j
    WHERE j.expires_at <= statement_timestamp() AND j.state IN ({literals(LIVE)})
    ORDER BY j.expires_at LIMIT :limit
""")

SELECT_LAPSED = text("""
    SELECT r.project_id, r.job_id FROM runs r WHERE r.lease_ends_at <= statement_timestamp() LIMIT :limit
""")


async def select_overdue(connection: AsyncConnection, limit: int) -> list[JobKey]:
    """Find live jobs whose deadline has passed."""
    rows = await connection.execute(SELECT_OVERDUE, {"limit": limit})
    return [(row.project_id, row.id) for row in rows]


async def select_lapsed(connection: AsyncConnection, limit: int) -> list[JobKey]:
    """Find jobs whose lease ran out. Reads the whole narrow table: it is as long as the number of live jobs."""
    rows = await connection.execute(SELECT_LAPSED, {"limit": limit})
    return [(row.project_id, row.job_id) for row in rows]
