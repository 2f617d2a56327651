"""The tables of what maintenance does in steps, each row a piece of work that is not finished. Part of `tables`."""

from sqlalchemy import BigInteger, Boolean, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.columns import TIME, key, metadata, not_null, nullable, of_job, partial_index

# Deleted jobs whose rows in other tables, perhaps millions, are still being removed in steps.
deletions = Table("deletions", metadata, *of_job(), *not_null(TIME, "deleted_at"))

# Reruns whose items are still being copied: those of the original up to a position are. Its rows stay until then.
item_copies = Table(
    "item_copies",
    metadata,
    *of_job(),
    *not_null(Uuid, "original_job_id"),
    *not_null(Boolean, "only_failed"),
    *not_null(BigInteger, "position", "last_position", "copied"),
    *not_null(TIME, "stepped_at"),
    # Null: those of any code, or without one.
    *nullable(ARRAY(Text), "error_codes"),
    # The condition always holds, and keeps the index from look-ups by the key.
    partial_index("item_copies_original", "project_id", "original_job_id", where="original_job_id IS NOT NULL"),
)

# One-time repairs of stored jobs that are not finished: a row is deleted when its walk has seen every job. It names the
# last one seen.
_LAST_SEEN = not_null(Uuid, "project_id", "job_id")
repairs = Table("repairs", metadata, key("name", Text), *not_null(TIME, "begins_at"), *_LAST_SEEN)
