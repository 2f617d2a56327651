"""The one CHECK of a job, by a function in PL/pgSQL.

PostgreSQL reads and compiles the expression of a CHECK anew for each statement, but a function's once a session: four
plain ones on `jobs` cost an update of one row 28 us of processor time, this costs 8 (decision record 0010).
"""

from typing import Final

from sqlalchemy import DDL, CheckConstraint, MetaData, event

from app.db.statement import literals
from app.domain.states import TERMINAL, JobState

# Without a `search_path` of its own, which would be set and put back for each row: it names nothing but built-ins.
_CREATE: Final = f"""
    CREATE FUNCTION job_is_valid(
        state text, completed_at timestamptz, progress float8, attempt integer, max_attempts integer
    ) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        RETURN state IN ({literals(JobState)})
            AND (completed_at IS NOT NULL) = (state IN ({literals(TERMINAL)}))
            AND progress BETWEEN 0 AND 100
            AND attempt BETWEEN 0 AND max_attempts;
    END $$
"""


def job_check(metadata: MetaData) -> CheckConstraint:
    """Declare the constraint, and its function, which is to be created before the table."""
    event.listen(metadata, "before_create", DDL(_CREATE))  # type: ignore[no-untyped-call]
    return CheckConstraint("job_is_valid(state, completed_at, progress, attempt, max_attempts)", name="jobs_valid")
