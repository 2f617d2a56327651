"""Who asks for work, and who paused a queue, why and until when: what a waiting job is explained by."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UP = (
    # Nullable and without a default: the rows there are stay as they are. Of a pause from before nobody knows more.
    """
    ALTER TABLE queues
        ADD COLUMN paused_at timestamptz, ADD COLUMN paused_by text, ADD COLUMN paused_reason text,
        ADD COLUMN paused_until timestamptz
    """,
    # Half of each page is left free and nothing but the key is indexed, so that each write of the time is a HOT update.
    """
    CREATE TABLE workers (
        project_id uuid NOT NULL, name text NOT NULL,
        queues text[], types text[],
        more_queues boolean NOT NULL, more_types boolean NOT NULL,
        client text, origin text NOT NULL, asked_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, name)
    ) WITH (fillfactor = 50)
    """,
)
DOWN = (
    "DROP TABLE workers",
    """
    ALTER TABLE queues
        DROP COLUMN paused_at, DROP COLUMN paused_by, DROP COLUMN paused_reason, DROP COLUMN paused_until
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
