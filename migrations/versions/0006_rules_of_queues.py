"""What is set for queues is found without reading every queue.

The index by state has both its columns in one direction, so that lists compare them as a pair.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Not CONCURRENTLY, as in the revisions before.
UP = (
    "CREATE INDEX queues_limited ON queues (project_id, name) WHERE concurrency_limit IS NOT NULL",
    "CREATE INDEX queues_retained ON queues (project_id, name) WHERE retention_seconds IS NOT NULL",
    "CREATE INDEX jobs_state_id_new ON jobs (project_id, state, id) WHERE state IS NOT NULL",
    "DROP INDEX jobs_state_id",
    "ALTER INDEX jobs_state_id_new RENAME TO jobs_state_id",
)
DOWN = (
    "CREATE INDEX jobs_state_id_new ON jobs (project_id, state, id DESC) WHERE state IS NOT NULL",
    "DROP INDEX jobs_state_id",
    "ALTER INDEX jobs_state_id_new RENAME TO jobs_state_id",
    "DROP INDEX queues_retained",
    "DROP INDEX queues_limited",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
