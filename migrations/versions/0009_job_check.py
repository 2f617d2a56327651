"""One CHECK of a job by a function, which is compiled once a session, for four that were so for each statement."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE FUNCTION job_is_valid(
        state text, completed_at timestamptz, progress float8, attempt integer, max_attempts integer
    ) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        RETURN state IN ('cancelled', 'cancelling', 'completed', 'completed_with_failures', 'dispatched', 'expired',
                'failed', 'pending', 'retrying', 'running')
            AND (completed_at IS NOT NULL) = (state IN ('cancelled', 'completed', 'completed_with_failures',
                'expired', 'failed'))
            AND progress BETWEEN 0 AND 100
            AND attempt BETWEEN 0 AND max_attempts;
    END $$
    """,
    # The rows there are were checked by those that go, and are not read again: the table is locked for a moment only.
    """
    ALTER TABLE jobs
        ADD CONSTRAINT jobs_valid
            CHECK (job_is_valid(state, completed_at, progress, attempt, max_attempts)) NOT VALID,
        DROP CONSTRAINT jobs_state,
        DROP CONSTRAINT jobs_completed_at_when_terminal,
        DROP CONSTRAINT jobs_progress,
        DROP CONSTRAINT jobs_attempt
    """,
    """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM jobs) THEN
            ALTER TABLE jobs VALIDATE CONSTRAINT jobs_valid;
        END IF;
    END $$
    """,
)
DOWN = (
    """
    ALTER TABLE jobs
        ADD CONSTRAINT jobs_state CHECK (
            state IN (
                'cancelled', 'cancelling', 'completed', 'completed_with_failures', 'dispatched', 'expired',
                'failed', 'pending', 'retrying', 'running'
            )
        ) NOT VALID,
        ADD CONSTRAINT jobs_completed_at_when_terminal CHECK (
            (completed_at IS NOT NULL) = (state IN (
                'cancelled', 'completed', 'completed_with_failures', 'expired', 'failed'
            ))
        ) NOT VALID,
        ADD CONSTRAINT jobs_progress CHECK (progress BETWEEN 0 AND 100) NOT VALID,
        ADD CONSTRAINT jobs_attempt CHECK (attempt BETWEEN 0 AND max_attempts) NOT VALID,
        DROP CONSTRAINT jobs_valid
    """,
    "DROP FUNCTION job_is_valid",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
