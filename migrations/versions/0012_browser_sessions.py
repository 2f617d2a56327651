"""Sessions of browsers, which stand for a key on the service's own pages, and the one-time codes that begin them."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

UP = (
    # Not a tenant's: a code is all that the browser has. It is 128 random bits, kept as a digest for five minutes.
    """
    CREATE TABLE session_codes (
        digest bytea NOT NULL, project_id uuid NOT NULL, key_id text NOT NULL, expires_at timestamptz NOT NULL,
        PRIMARY KEY (digest)
    )
    """,
    """
    CREATE TABLE browser_sessions (
        project_id uuid NOT NULL, digest bytea NOT NULL, key_id text NOT NULL,
        created_at timestamptz NOT NULL, used_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, digest)
    )
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE browser_sessions")
    op.execute("DROP TABLE session_codes")
