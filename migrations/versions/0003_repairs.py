"""Walks over stored jobs that are to be made once; the first takes away deadlines that stand for none."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The second walk begins when no process of the version before, which goes on writing such deadlines until it is
# replaced, should run any more. A new database has nothing to walk over.
UP = (
    """
    CREATE TABLE repairs (
        name text NOT NULL,
        begins_at timestamptz NOT NULL,
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        PRIMARY KEY (name)
    )
    """,
    """
    INSERT INTO repairs (name, begins_at, project_id, job_id)
    SELECT w.name, statement_timestamp() + w.later, '00000000-0000-0000-0000-000000000000',
           '00000000-0000-0000-0000-000000000000'
    FROM (VALUES ('deadlines', interval '0'), ('deadlines after the deploy', interval '1 hour')) AS w (name, later)
    WHERE EXISTS (SELECT FROM jobs)
    """,
)

DOWN = ("DROP TABLE repairs",)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
