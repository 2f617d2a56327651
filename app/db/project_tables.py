"""The tables of what a project has beside its jobs: keys, queues with their rules, records of calls."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON

from app.db.columns import TIME, key, metadata, not_null, nullable, partial_index, plain_tenant, tenant

projects = Table("projects", metadata, key("id", Uuid), *not_null(Text, "name"), *not_null(TIME, "created_at"))

keys = Table(
    "keys",
    metadata,
    tenant(),
    key("id", Text),
    *not_null(Text, "name"),
    *not_null(LargeBinary, "digest"),
    *not_null(ARRAY(Text), "scopes"),
    *nullable(ARRAY(Text), "queues"),
    *not_null(TIME, "created_at"),
    *nullable(TIME, "expires_at", "revoked_at", "last_used_at"),
    # Not unique, because a unique index must hold the tenant: a digest of 256 random bits needs no constraint.
    Index("keys_digest", "digest"),
)

queues = Table(
    "queues",
    metadata,
    plain_tenant(),
    key("name", Text),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    *nullable(Integer, "concurrency_limit"),
    *nullable(Double, "retry_delay_seconds", "retry_factor", "retry_max_delay_seconds"),
    *nullable(BigInteger, "retention_seconds"),
    *not_null(TIME, "created_at", "updated_at"),
    # Of the pause. Once `paused_until` has passed there is none, whatever `paused` is.
    *nullable(TIME, "paused_at"),
    *nullable(Text, "paused_by", "paused_reason"),
    *nullable(TIME, "paused_until"),
    *nullable(BigInteger, "retention_failed_seconds"),
    *nullable(Integer, "expected_seconds"),
    # Those with a rule are found without reading all names that were ever used.
    partial_index("queues_limited", "project_id", "name", where="concurrency_limit IS NOT NULL"),
    partial_index(
        "queues_retained",
        *("project_id", "name"),
        where="coalesce(retention_seconds, retention_failed_seconds) IS NOT NULL",
    ),
)

# Who asks for work, each row written every ten seconds at most. No index but the key's: its updates are HOT.
workers = Table(
    "workers",
    metadata,
    plain_tenant(),
    key("name", Text),
    # Null: any. The first twenty in the order of names, and whether there were more.
    *nullable(ARRAY(Text), "queues", "types"),
    *not_null(Boolean, "more_queues", "more_types"),
    *nullable(Text, "client"),
    # The process that wrote the row last.
    *not_null(Text, "origin"),
    *not_null(TIME, "asked_at"),
    postgresql_with={"fillfactor": "50"},
)

idempotency_records = Table(
    "idempotency_records",
    metadata,
    plain_tenant(),
    key("route", Text),
    key("key", Text),
    *not_null(LargeBinary, "fingerprint"),
    *not_null(SmallInteger, "status"),
    # The job that the call created, or the whole response if it created nothing that can be read again.
    *nullable(Uuid, "job_id"),
    *nullable(JSON, "body"),
    *not_null(TIME, "created_at"),
    Index("idempotency_records_age", "created_at"),
)
