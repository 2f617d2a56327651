"""The items of a job that have an error are found without reading the others, and a rerun may be of some error codes.

The condition of the index names the code of the error and not the status: an index on the status would have to be
written at each change of an item, and no change of one could be a HOT update. An item that does not fail never touches
this one.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Not CONCURRENTLY, as in the revisions before.
UP = (
    "CREATE INDEX items_with_error ON items (project_id, job_id, position) WHERE error_code IS NOT NULL",
    "ALTER TABLE item_copies ADD COLUMN error_codes text[]",
)
# What is still to be copied of some codes would be copied of all: such reruns keep what they have.
DOWN = (
    "DELETE FROM item_copies WHERE error_codes IS NOT NULL",
    "ALTER TABLE item_copies DROP COLUMN error_codes",
    "DROP INDEX items_with_error",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
