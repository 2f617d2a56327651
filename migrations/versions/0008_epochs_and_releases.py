"""The cluster that a database lives in, for the cursors of events, and the uploads that nobody needs any more.

A position in the feed of events is a transaction's number, and a dump that is restored into another cluster meets
numbers that begin anew. `epochs` remembers the cluster, so that a cursor of another one is known as that.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Cursors that were written before have no epoch, which is read as 0. The first start afterwards adds the cluster's
# identifier: reading it may need a right that the migrating role does not have, and a failure would undo all of this.
UP = (
    """
    CREATE TABLE epochs (
        name text NOT NULL, epoch bigint NOT NULL, begins_after bigint NOT NULL, system_identifier bigint,
        PRIMARY KEY (name)
    )
    """,
    "INSERT INTO epochs (name, epoch, begins_after) VALUES ('events', 0, 0)",
    # Versions before this one write nothing here: what they replace or delete goes after six hours, as before.
    """
    CREATE TABLE released_uploads (
        project_id uuid NOT NULL, upload_id uuid NOT NULL,
        PRIMARY KEY (project_id, upload_id)
    )
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE released_uploads")
    op.execute("DROP TABLE epochs")
