"""Inputs of jobs in chunks, deletions that are carried out in steps, and the index by which ended jobs grow old."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LIVE = "state IN ('cancelling', 'dispatched', 'pending', 'retrying', 'running')"

# Chunks are compressed by whoever made them or not at all: TOAST would try again on each, for nothing.
UP = (
    """
    CREATE TABLE inputs (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        upload_id uuid NOT NULL,
        content_type text NOT NULL,
        size_bytes bigint NOT NULL,
        sha256 bytea NOT NULL,
        sensitive boolean NOT NULL,
        created_at timestamptz NOT NULL,
        dropped_at timestamptz,
        PRIMARY KEY (project_id, job_id)
    )
    """,
    "CREATE INDEX inputs_upload ON inputs (project_id, upload_id)",
    "CREATE INDEX inputs_sensitive ON inputs (project_id, job_id) WHERE sensitive AND dropped_at IS NULL",
    """
    CREATE TABLE input_chunks (
        project_id uuid NOT NULL,
        upload_id uuid NOT NULL,
        n integer NOT NULL,
        data bytea NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, upload_id, n)
    )
    """,
    "ALTER TABLE input_chunks ALTER COLUMN data SET STORAGE EXTERNAL",
    """
    CREATE TABLE deletions (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        deleted_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, job_id)
    )
    """,
    f"CREATE INDEX jobs_live ON jobs (project_id, queue, state, scheduled_at) WHERE {LIVE}",
    "CREATE INDEX jobs_ended ON jobs (project_id, queue, completed_at) WHERE completed_at IS NOT NULL",
)

DOWN = (
    "DROP INDEX jobs_ended",
    "DROP INDEX jobs_live",
    "DROP TABLE deletions",
    "DROP TABLE input_chunks",
    "DROP TABLE inputs",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
