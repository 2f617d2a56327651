"""Each table has one index by which a row is found by its key.

Others that hold the columns of the key, or begin with them, seem to find it as cheaply while there are no statistics,
and walk a project's jobs or a job's items from end to end. Now they have a condition, which always holds, but which a
look-up by key does not name. The key of an item is its key: its position was, and no condition can be put there.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {
    "jobs_state_id": ("jobs (project_id, state, id DESC)", "state IS NOT NULL"),
    "job_labels_value": ("job_labels (project_id, name, value, job_id DESC)", "value IS NOT NULL"),
    "inputs_upload": ("inputs (project_id, upload_id)", "upload_id IS NOT NULL"),
}
POSITION = "items (project_id, job_id, position)"


def _rename() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
        op.execute(f"ALTER INDEX {name}_new RENAME TO {name}")


# Each builds everything before it drops anything: writers wait while an index is built, readers only at the end.
def upgrade() -> None:
    for name, (columns, always) in INDEXES.items():
        op.execute(f"CREATE INDEX {name}_new ON {columns} WHERE {always}")
    op.execute(f"CREATE UNIQUE INDEX items_position ON {POSITION} WHERE position IS NOT NULL")
    _rename()
    op.execute("ALTER TABLE items DROP CONSTRAINT items_pkey")
    op.execute("ALTER TABLE items ADD CONSTRAINT items_pkey PRIMARY KEY USING INDEX items_key")


def downgrade() -> None:
    for name, (columns, _) in INDEXES.items():
        op.execute(f"CREATE INDEX {name}_new ON {columns}")
    op.execute("CREATE UNIQUE INDEX items_key ON items (project_id, job_id, key)")
    op.execute(f"CREATE UNIQUE INDEX items_by_position ON {POSITION}")
    _rename()
    op.execute("ALTER TABLE items DROP CONSTRAINT items_pkey")
    op.execute("ALTER TABLE items ADD CONSTRAINT items_pkey PRIMARY KEY USING INDEX items_by_position")
    op.execute("DROP INDEX items_position")
