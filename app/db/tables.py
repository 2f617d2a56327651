"""The tables, as SQLAlchemy metadata. `migrations/` creates them in plain DDL; a test holds the two against each other.

Every primary key begins with `project_id`, so that the schema can be distributed by tenant unchanged. Columns are split
into tables by how often they change: `jobs` on transitions only, `runs` on every report (narrow, no secondary index:
all updates are HOT), `payloads` and `results` once.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Identity,
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

from app.db import step_tables
from app.db.columns import TIME, Xid8, flag, key, metadata, not_null, nullable, of_job, partial_index, plain_tenant
from app.db.job_check import job_check
from app.db.project_tables import idempotency_records, keys, projects, queues, workers
from app.db.statement import literals
from app.domain.item import ItemStatus
from app.domain.states import CLAIMABLE, GAVE_UP, LEASED, LIVE

__all__ = [
    "checkpoints",
    "deletions",
    "events",
    "idempotency_records",
    "input_chunks",
    "inputs",
    "item_copies",
    "items",
    "job_labels",
    "job_logs",
    "jobs",
    "keys",
    "looks",
    "metadata",
    "payloads",
    "projects",
    "queues",
    "repairs",
    "results",
    "runs",
    "workers",
]

_IS_LIVE = f"state IN ({literals(LIVE)})"
# As PostgreSQL writes it back, for the comparison with what the migrations make.
_GAVE_UP = "((state = ANY (ARRAY[" + ", ".join(f"'{state}'::text" for state in sorted(GAVE_UP)) + "]))::integer)"
jobs = Table(
    "jobs",
    metadata,
    plain_tenant(),
    key("id", Uuid),
    *not_null(Text, "type", "queue"),
    *nullable(Text, "engine", "collection"),
    *not_null(Text, "state"),
    *not_null(SmallInteger, "priority"),
    *not_null(Integer, "attempt", "max_attempts"),
    *not_null(Double, "retry_delay_seconds", "retry_factor", "retry_max_delay_seconds"),
    *nullable(Uuid, "original_job_id"),
    *not_null(JSON, "labels"),
    *nullable(Text, "worker"),
    # The latest claim's token. Null while it is spent (after a failure that is retried, or a release).
    *nullable(Uuid, "token"),
    # A digest of the call that ended the job, so that the same call again gets the recorded answer.
    *nullable(LargeBinary, "final_call"),
    *not_null(BigInteger, "version"),
    # The last report's values, copied here when the job ends; until then they stand in the run.
    *nullable(Text, "stage"),
    *not_null(Double, "progress"),
    *nullable(Text, "message"),
    *not_null(BigInteger, "items_total", "items_processed", "items_failed", "items_skipped"),
    *nullable(Text, "error_code", "error_message"),
    *not_null(TIME, "created_at", "updated_at", "status_changed_at", "scheduled_at"),
    *nullable(TIME, "expires_at", "started_at", "completed_at", "cancelled_at"),
    *nullable(Text, "cancelled_by"),
    # A rerun whose items are not all there yet: no claim takes it.
    flag("copying"),
    *nullable(Integer, "expected_seconds"),
    # When the latest attempt should have ended, and whether it was seen to last longer.
    *nullable(TIME, "expected_end_at"),
    flag("overdue"),
    job_check(metadata),
    # For claims: by queue, the highest priority first, then the job that has waited longest.
    partial_index(
        "jobs_waiting",
        *("project_id", "queue", "priority DESC", "scheduled_at", "id"),
        where=f"state IN ({literals(CLAIMABLE)}) AND engine IS NULL AND NOT copying",
    ),
    # For claims by type: the backlog of other types is not walked. The condition hides the state from the planner,
    # which would otherwise take the index above for as good while there are no statistics.
    partial_index(
        "jobs_waiting_type",
        *("project_id", "type", "queue", "priority DESC", "scheduled_at", "id"),
        where=f"nullif(state, '') IN ({literals(CLAIMABLE)}) AND engine IS NULL AND NOT copying",
    ),
    # The condition always holds. It keeps the planner from using the index for a look-up by key: on an empty table that
    # costs the same as the primary key, and once the table is full it reads a whole project. Same for those below.
    partial_index("jobs_state_id", "project_id", "state", "id", where="state IS NOT NULL"),
    partial_index("jobs_deadline", "expires_at", where=f"expires_at IS NOT NULL AND {_IS_LIVE}"),
    partial_index(
        "jobs_expected",
        "expected_end_at",
        where=f"expected_end_at IS NOT NULL AND NOT overdue AND state IN ({literals(LEASED)})",
    ),
    partial_index("jobs_original", "project_id", "original_job_id", where="original_job_id IS NOT NULL"),
    # For the depths of queues and the number of held jobs.
    partial_index("jobs_live", "project_id", "queue", "state", "scheduled_at", where=_IS_LIVE),
    # For retention, which keeps those that gave up for a time of their own, and for the rates of queues.
    partial_index(
        "jobs_ended",
        *("project_id", "queue", _GAVE_UP, "completed_at"),
        where="completed_at IS NOT NULL",
    ),
)

job_labels = Table(
    "job_labels",
    metadata,
    *of_job(),
    key("name", Text),
    *not_null(Text, "value"),
    partial_index("job_labels_value", "project_id", "name", "value", "job_id DESC", where="value IS NOT NULL"),
)

runs = Table(
    "runs",
    metadata,
    *of_job(),
    *nullable(Integer, "lease_seconds"),
    # Null while nobody holds the job, and for an engine's job without a lease. Never indexed: the sweep reads the whole
    # table, which is as long as the number of live jobs, and every heartbeat stays a HOT update.
    *nullable(TIME, "lease_ends_at"),
    *not_null(BigInteger, "version"),
    *nullable(Text, "stage"),
    *not_null(Double, "progress"),
    *nullable(Text, "message"),
    *nullable(BigInteger, "declared_total"),
    *not_null(BigInteger, "items_count", "items_processed", "items_failed", "items_skipped"),
    *nullable(Double, "eta_seconds", "eta_low_seconds", "eta_high_seconds"),
    # Times and progress of the last half minute, alternating; the estimate is calculated from them.
    *not_null(ARRAY(Double), "samples"),
    *not_null(BigInteger, "log_lines"),
    *not_null(TIME, "updated_at"),
    CheckConstraint("progress BETWEEN 0 AND 99", name="runs_progress"),
    postgresql_with={"fillfactor": "50"},
)

payloads = Table("payloads", metadata, *of_job(), *not_null(JSON, "payload"))

results = Table("results", metadata, *of_job(), *nullable(JSON, "result", "billing"))

# The description of a job's input. Its bytes are in chunks, which a rerun shares with its original.
inputs = Table(
    "inputs",
    metadata,
    *of_job(),
    *not_null(Uuid, "upload_id"),
    *not_null(Text, "content_type"),
    *not_null(BigInteger, "size_bytes"),
    *not_null(LargeBinary, "sha256"),
    # It holds credentials, so it is dropped when the job has ended; a rerun sees that in `dropped_at`.
    *not_null(Boolean, "sensitive"),
    *not_null(TIME, "created_at"),
    *nullable(TIME, "dropped_at"),
    partial_index("inputs_upload", "project_id", "upload_id", where="upload_id IS NOT NULL"),
    partial_index("inputs_sensitive", "project_id", "job_id", where="sensitive AND dropped_at IS NULL"),
)

input_chunks = Table(
    "input_chunks",
    metadata,
    plain_tenant(),
    key("upload_id", Uuid),
    key("n", Integer),
    *not_null(LargeBinary, "data"),
    *not_null(TIME, "created_at"),
)

checkpoints = Table("checkpoints", metadata, *of_job(), *not_null(JSON, "checkpoint"))

items = Table(
    "items",
    metadata,
    *of_job(),
    # The order of the first reports, numbered under the job's lock: a reader never sees a gap that is filled later.
    *not_null(BigInteger, "position"),
    key("key", Text),
    *nullable(Text, "name", "uri"),
    *not_null(Text, "status"),
    *nullable(Text, "stage", "message", "error_code", "error_message", "skip_reason"),
    *nullable(BigInteger, "size_bytes"),
    *nullable(JSON, "result"),
    *not_null(TIME, "updated_at"),
    CheckConstraint(f"status IN ({literals(ItemStatus)})", name="items_status"),
    partial_index("items_position", "project_id", "job_id", "position", where="position IS NOT NULL", unique=True),
    # Not by status: an index on that would be written at each change of an item.
    partial_index("items_with_error", "project_id", "job_id", "position", where="error_code IS NOT NULL"),
    postgresql_with={"fillfactor": "80"},
)

events = Table(
    "events",
    metadata,
    *of_job(),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # A feed ordered by id alone would skip rows that commit late; readers stop below the oldest running transaction.
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    *not_null(Text, "type"),
    *not_null(TIME, "at"),
    *not_null(Integer, "attempt"),
    *nullable(Text, "worker", "from_state"),
    *not_null(Text, "to_state"),
    *nullable(JSON, "data"),
    Index("events_feed", "project_id", "xid", "id"),
)

# What maintenance does in steps, as all else names it.
deletions, item_copies, repairs = step_tables.deletions, step_tables.item_copies, step_tables.repairs

# The last look at the leases, of any process. One row; its updates are HOT.
looks = Table("looks", metadata, key("name", Text), *not_null(TIME, "seen_at"))

job_logs = Table(
    "job_logs",
    metadata,
    *of_job(),
    key("line", BigInteger),
    *not_null(TIME, "at"),
    *not_null(Integer, "attempt"),
    *not_null(Text, "level", "message"),
)
