"""The tables, as SQLAlchemy metadata. `migrations/` creates them in plain DDL; a test holds the two against each other.

Every primary key begins with `project_id`, so that the schema can be distributed by tenant unchanged. Rows are split by
how often they change: `jobs` on transitions only, `runs` on every report (narrow, no secondary index: all updates are
HOT), `payloads` and `results` once.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.types import UserDefinedType

from app.domain.item import ItemStatus
from app.domain.states import CLAIMABLE, LIVE, TERMINAL, JobState

metadata = MetaData()


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id: the order in which transactions began, for cursors in commit order."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Name the type as DDL does."""
        return "xid8"


def literals(values: Iterable[str]) -> str:
    """Write words as an SQL list. States are literals, never bound: a bound one keeps a plan from a partial index."""
    return ", ".join(f"'{value}'" for value in sorted(values))


def _timestamp(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _project() -> Column[UUID]:
    return Column("project_id", Uuid, ForeignKey("projects.id"), primary_key=True)


def _plain_project() -> Column[UUID]:
    """Give the tenant column of the hot tables: no foreign key, since each insert would lock the project."""
    return Column("project_id", Uuid, primary_key=True)


def _job() -> Column[UUID]:
    return Column("job_id", Uuid, primary_key=True)


projects = Table(
    "projects",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    _timestamp("created_at"),
)

keys = Table(
    "keys",
    metadata,
    _project(),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("queues", ARRAY(Text)),
    _timestamp("created_at"),
    _timestamp("expires_at", nullable=True),
    _timestamp("revoked_at", nullable=True),
    _timestamp("last_used_at", nullable=True),
    # Not unique, because a unique index must hold the tenant: a digest of 256 random bits needs no constraint.
    Index("keys_digest", "digest"),
)

queues = Table(
    "queues",
    metadata,
    _plain_project(),
    Column("name", Text, primary_key=True),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("concurrency_limit", Integer),
    Column("retry_delay_seconds", Double),
    Column("retry_factor", Double),
    Column("retry_max_delay_seconds", Double),
    Column("retention_seconds", BigInteger),
    _timestamp("created_at"),
    _timestamp("updated_at"),
)

jobs = Table(
    "jobs",
    metadata,
    _plain_project(),
    Column("id", Uuid, primary_key=True),
    Column("type", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("engine", Text),
    Column("collection", Text),
    Column("state", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("retry_delay_seconds", Double, nullable=False),
    Column("retry_factor", Double, nullable=False),
    Column("retry_max_delay_seconds", Double, nullable=False),
    Column("original_job_id", Uuid),
    Column("labels", JSON, nullable=False),
    Column("worker", Text),
    # The latest claim's token. Null while it is spent (after a failure that is retried, or a release).
    Column("token", Uuid),
    # A digest of the call that ended the job, so that the same call again gets the recorded answer.
    Column("final_call", LargeBinary),
    Column("version", BigInteger, nullable=False),
    # What the run said last; copied here when the job ends, while it lives the run has it.
    Column("stage", Text),
    Column("progress", Double, nullable=False),
    Column("message", Text),
    Column("items_total", BigInteger, nullable=False),
    Column("items_processed", BigInteger, nullable=False),
    Column("items_failed", BigInteger, nullable=False),
    Column("items_skipped", BigInteger, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    _timestamp("created_at"),
    _timestamp("updated_at"),
    _timestamp("status_changed_at"),
    _timestamp("scheduled_at"),
    _timestamp("expires_at", nullable=True),
    _timestamp("started_at", nullable=True),
    _timestamp("completed_at", nullable=True),
    _timestamp("cancelled_at", nullable=True),
    Column("cancelled_by", Text),
    CheckConstraint(f"state IN ({literals(JobState)})", name="jobs_state"),
    CheckConstraint(
        f"(completed_at IS NOT NULL) = (state IN ({literals(TERMINAL)}))", name="jobs_completed_at_when_terminal"
    ),
    CheckConstraint("progress BETWEEN 0 AND 100", name="jobs_progress"),
    CheckConstraint("attempt BETWEEN 0 AND max_attempts", name="jobs_attempt"),
    # What a claim walks: per queue, the best priority first, then whoever has waited longest.
    Index(
        "jobs_waiting",
        "project_id",
        "queue",
        text("priority DESC"),
        "scheduled_at",
        "id",
        postgresql_where=text(f"state IN ({literals(CLAIMABLE)}) AND engine IS NULL"),
    ),
    # The condition always holds. It keeps the index from a look-up by key, which on an empty table would cost the same
    # by the columns that the two share, and would then walk all of a project when the table had filled. So below.
    Index("jobs_state_id", "project_id", "state", text("id DESC"), postgresql_where=text("state IS NOT NULL")),
    Index(
        "jobs_deadline",
        "expires_at",
        postgresql_where=text(f"expires_at IS NOT NULL AND state IN ({literals(LIVE)})"),
    ),
    Index("jobs_original", "project_id", "original_job_id", postgresql_where=text("original_job_id IS NOT NULL")),
    # How deep a queue is, and how many of its jobs are held.
    Index(
        "jobs_live",
        "project_id",
        "queue",
        "state",
        "scheduled_at",
        postgresql_where=text(f"state IN ({literals(LIVE)})"),
    ),
    # What retention walks, and what the rates of a queue are counted in.
    Index("jobs_ended", "project_id", "queue", "completed_at", postgresql_where=text("completed_at IS NOT NULL")),
)

job_labels = Table(
    "job_labels",
    metadata,
    _plain_project(),
    _job(),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index(
        "job_labels_value",
        "project_id",
        "name",
        "value",
        text("job_id DESC"),
        postgresql_where=text("value IS NOT NULL"),
    ),
)

runs = Table(
    "runs",
    metadata,
    _plain_project(),
    _job(),
    Column("lease_seconds", Integer),
    # Null while nobody holds the job, and for an engine's job without a lease. Never indexed: the sweep reads the whole
    # table, which is as long as the number of live jobs, and every heartbeat stays a HOT update.
    _timestamp("lease_ends_at", nullable=True),
    Column("version", BigInteger, nullable=False),
    Column("stage", Text),
    Column("progress", Double, nullable=False),
    Column("message", Text),
    Column("declared_total", BigInteger),
    Column("items_count", BigInteger, nullable=False),
    Column("items_processed", BigInteger, nullable=False),
    Column("items_failed", BigInteger, nullable=False),
    Column("items_skipped", BigInteger, nullable=False),
    Column("eta_seconds", Double),
    Column("eta_low_seconds", Double),
    Column("eta_high_seconds", Double),
    # Moments and progress of the last half minute, alternating: what the estimate is made from.
    Column("samples", ARRAY(Double), nullable=False),
    Column("log_lines", BigInteger, nullable=False),
    _timestamp("updated_at"),
    CheckConstraint("progress BETWEEN 0 AND 99", name="runs_progress"),
    postgresql_with={"fillfactor": "50"},
)

payloads = Table("payloads", metadata, _plain_project(), _job(), Column("payload", JSON, nullable=False))

results = Table("results", metadata, _plain_project(), _job(), Column("result", JSON), Column("billing", JSON))

# A job's input is described here and lies in chunks, which a rerun shares with its original.
inputs = Table(
    "inputs",
    metadata,
    _plain_project(),
    _job(),
    Column("upload_id", Uuid, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    # It holds credentials: dropped when the job has ended, and `dropped_at` says so to a rerun.
    Column("sensitive", Boolean, nullable=False),
    _timestamp("created_at"),
    _timestamp("dropped_at", nullable=True),
    Index("inputs_upload", "project_id", "upload_id", postgresql_where=text("upload_id IS NOT NULL")),
    Index("inputs_sensitive", "project_id", "job_id", postgresql_where=text("sensitive AND dropped_at IS NULL")),
)

input_chunks = Table(
    "input_chunks",
    metadata,
    _plain_project(),
    Column("upload_id", Uuid, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    _timestamp("created_at"),
)

checkpoints = Table("checkpoints", metadata, _plain_project(), _job(), Column("checkpoint", JSON, nullable=False))

items = Table(
    "items",
    metadata,
    _plain_project(),
    _job(),
    # The place in the order of first report, given under the job's lock: a reader that walks it meets no gap.
    Column("position", BigInteger, nullable=False),
    Column("key", Text, primary_key=True),
    Column("name", Text),
    Column("uri", Text),
    Column("status", Text, nullable=False),
    Column("stage", Text),
    Column("message", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("skip_reason", Text),
    Column("size_bytes", BigInteger),
    Column("result", JSON),
    _timestamp("updated_at"),
    CheckConstraint(f"status IN ({literals(ItemStatus)})", name="items_status"),
    Index(
        "items_position",
        "project_id",
        "job_id",
        "position",
        unique=True,
        postgresql_where=text("position IS NOT NULL"),
    ),
    postgresql_with={"fillfactor": "80"},
)

events = Table(
    "events",
    metadata,
    _plain_project(),
    _job(),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # A feed ordered by id alone would skip rows that commit late; readers take what lies below the oldest running xid.
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("type", Text, nullable=False),
    _timestamp("at"),
    Column("attempt", Integer, nullable=False),
    Column("worker", Text),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("data", JSON),
    Index("events_feed", "project_id", "xid", "id"),
)

# Jobs whose row is gone and whose other rows, perhaps millions, are being pruned in steps.
deletions = Table("deletions", metadata, _plain_project(), _job(), _timestamp("deleted_at"))

# Walks over stored jobs that are still to be made, each once: a row goes when its walk has seen every job.
repairs = Table(
    "repairs",
    metadata,
    Column("name", Text, primary_key=True),
    _timestamp("begins_at"),
    # The last job that it has seen.
    Column("project_id", Uuid, nullable=False),
    Column("job_id", Uuid, nullable=False),
)

job_logs = Table(
    "job_logs",
    metadata,
    _plain_project(),
    _job(),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("level", Text, nullable=False),
    Column("message", Text, nullable=False),
)

idempotency_records = Table(
    "idempotency_records",
    metadata,
    _plain_project(),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    # What the call made, or its whole answer where it made nothing that can be read again.
    Column("job_id", Uuid),
    Column("body", JSON),
    _timestamp("created_at"),
    Index("idempotency_records_age", "created_at"),
)
