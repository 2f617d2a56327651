"""Reruns whose items are copied in steps: how far each has come, and that no claim takes the job until then.

Claims by type walk an index of their own.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WAITING = "jobs (project_id, queue, priority DESC, scheduled_at, id)"
CLAIMABLE = "state IN ('pending', 'retrying') AND engine IS NULL"

# The index of what claims may take is built anew, and the new column locks the table meanwhile (a second for a million
# jobs). Processes of the version before find waiting jobs by `jobs_live` until they are replaced: slower, not wrong.
UP = (
    "ALTER TABLE jobs ADD COLUMN copying boolean DEFAULT false NOT NULL",
    f"CREATE INDEX jobs_waiting_new ON {WAITING} WHERE {CLAIMABLE} AND NOT copying",
    "DROP INDEX jobs_waiting",
    "ALTER INDEX jobs_waiting_new RENAME TO jobs_waiting",
    # The state is hidden: the planner would take one of the two for the other.
    """
    CREATE INDEX jobs_waiting_type ON jobs (project_id, type, queue, priority DESC, scheduled_at, id)
    WHERE nullif(state, '') IN ('pending', 'retrying') AND engine IS NULL AND NOT copying
    """,
    """
    CREATE TABLE item_copies (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        original_job_id uuid NOT NULL,
        only_failed boolean NOT NULL,
        position bigint NOT NULL,
        last_position bigint NOT NULL,
        copied bigint NOT NULL,
        stepped_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, job_id)
    )
    """,
    """
    CREATE INDEX item_copies_original ON item_copies (project_id, original_job_id)
    WHERE original_job_id IS NOT NULL
    """,
)

# Jobs that are being copied keep what they have, and become claimable.
DOWN = (
    "DROP TABLE item_copies",
    "DROP INDEX jobs_waiting_type",
    f"CREATE INDEX jobs_waiting_new ON {WAITING} WHERE {CLAIMABLE}",
    "DROP INDEX jobs_waiting",
    "ALTER INDEX jobs_waiting_new RENAME TO jobs_waiting",
    "ALTER TABLE jobs DROP COLUMN copying",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
