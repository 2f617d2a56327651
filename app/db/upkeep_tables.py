"""Tables of the service's own upkeep; those of jobs are in `tables`, with what all tables have in common."""

from sqlalchemy import BigInteger, LargeBinary, Table, Text, Uuid

from app.db.columns import TIME, key, not_null, nullable, plain_tenant
from app.db.tables import metadata

# What the positions of events are counted in. One row: a number of its own for each cluster that the database was
# restored into, 0 for the one that was migrated, and the last event that was written before.
epochs = Table(
    "epochs",
    metadata,
    key("name", Text),
    *not_null(BigInteger, "epoch", "begins_after"),
    *nullable(BigInteger, "system_identifier"),
)

# What is true of this installation until somebody decides otherwise, each with when it was noted.
installation = Table("installation", metadata, key("name", Text), *not_null(TIME, "noted_at"))

# Uploads that were replaced, or whose job was deleted: their bytes are removed in steps, unless another job has them.
released_uploads = Table("released_uploads", metadata, plain_tenant(), key("upload_id", Uuid))

# One-time codes that begin a session in a browser, by digest: they name a key, and no tenant is known before.
session_codes = Table(
    "session_codes",
    metadata,
    key("digest", LargeBinary),
    *not_null(Uuid, "project_id"),
    *not_null(Text, "key_id"),
    *not_null(TIME, "expires_at"),
)

# Sessions of browsers. Each stands for a key, as long as both are good.
browser_sessions = Table(
    "browser_sessions",
    metadata,
    plain_tenant(),
    key("digest", LargeBinary),
    *not_null(Text, "key_id"),
    *not_null(TIME, "created_at", "used_at"),
)
