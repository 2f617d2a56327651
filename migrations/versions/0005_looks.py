"""When the rescue last looked at the leases, for any of the processes: a gap after it was nobody's fault but ours."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# One row, which is updated in place about once a second while something is leased. Versions before this one leave it.
UP = (
    "CREATE TABLE looks (name text NOT NULL, seen_at timestamptz NOT NULL, PRIMARY KEY (name))",
    "INSERT INTO looks (name, seen_at) VALUES ('leases', statement_timestamp())",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE looks")
