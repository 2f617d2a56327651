"""Attempts that take longer than expected are marked, and ended jobs are kept for a time of the service's own.

A database with ended jobs keeps them for ever until somebody decides otherwise: it says so in a table of its own.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Not CONCURRENTLY, as in the revisions before.
UP = (
    "CREATE TABLE installation (name text PRIMARY KEY, noted_at timestamptz NOT NULL)",
    """
    INSERT INTO installation (name, noted_at)
    SELECT 'keeps_ended_jobs', statement_timestamp() WHERE EXISTS (SELECT FROM jobs WHERE completed_at IS NOT NULL)
    """,
    "ALTER TABLE queues ADD COLUMN retention_failed_seconds bigint",
    # It has held for every end until now.
    "UPDATE queues SET retention_failed_seconds = retention_seconds WHERE retention_seconds IS NOT NULL",
    """
    CREATE INDEX queues_retained_new ON queues (project_id, name)
        WHERE coalesce(retention_seconds, retention_failed_seconds) IS NOT NULL
    """,
    """
    CREATE INDEX jobs_ended_new
        ON jobs (project_id, queue, (CAST(state IN ('expired', 'failed') AS integer)), completed_at)
        WHERE completed_at IS NOT NULL
    """,
    "ALTER TABLE queues ADD COLUMN expected_seconds integer",
    """
    ALTER TABLE jobs ADD COLUMN expected_seconds integer, ADD COLUMN expected_end_at timestamptz,
        ADD COLUMN overdue boolean NOT NULL DEFAULT false
    """,
    """
    CREATE INDEX jobs_expected ON jobs (expected_end_at)
        WHERE expected_end_at IS NOT NULL AND NOT overdue AND state IN ('cancelling', 'dispatched', 'running')
    """,
    "DROP INDEX queues_retained",
    "DROP INDEX jobs_ended",
    "ALTER INDEX queues_retained_new RENAME TO queues_retained",
    "ALTER INDEX jobs_ended_new RENAME TO jobs_ended",
)
DOWN = (
    "CREATE INDEX queues_retained_old ON queues (project_id, name) WHERE retention_seconds IS NOT NULL",
    "CREATE INDEX jobs_ended_old ON jobs (project_id, queue, completed_at) WHERE completed_at IS NOT NULL",
    "DROP INDEX queues_retained",
    "DROP INDEX jobs_ended",
    "ALTER INDEX queues_retained_old RENAME TO queues_retained",
    "ALTER INDEX jobs_ended_old RENAME TO jobs_ended",
    # 0 is a time to the version before, and not for ever.
    "UPDATE queues SET retention_seconds = NULL WHERE retention_seconds = 0",
    "DROP INDEX jobs_expected",
    "ALTER TABLE jobs DROP COLUMN expected_seconds, DROP COLUMN expected_end_at, DROP COLUMN overdue",
    "ALTER TABLE queues DROP COLUMN retention_failed_seconds, DROP COLUMN expected_seconds",
    "DROP TABLE installation",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
