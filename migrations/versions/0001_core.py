"""The core: projects and keys, queues, jobs with what is said about them, their items, events, logs, idempotency.

`app/db/tables.py` says what each table is for. Here it is DDL as text, which stays as it is when the metadata moves on.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# One statement an entry: asyncpg prepares each of them.
#
# Every transition leaves a dead row in `jobs` and every report one in `runs`, while the live part of both stays small:
# the default of a fifth of the table would let a month of ended jobs put off the cleaning of today's. `runs` is read
# whole by the sweep for lapsed leases, so it is vacuumed by a fixed number of dead rows and without pauses.
UP = (
    """
    CREATE TABLE projects (
        id uuid NOT NULL,
        name text NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE keys (
        project_id uuid NOT NULL,
        id text NOT NULL,
        name text NOT NULL,
        digest bytea NOT NULL,
        scopes text[] NOT NULL,
        queues text[],
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        revoked_at timestamptz,
        last_used_at timestamptz,
        PRIMARY KEY (project_id, id),
        FOREIGN KEY (project_id) REFERENCES projects (id)
    )
    """,
    "CREATE INDEX keys_digest ON keys (digest)",
    """
    CREATE TABLE queues (
        project_id uuid NOT NULL,
        name text NOT NULL,
        paused boolean DEFAULT false NOT NULL,
        concurrency_limit integer,
        retry_delay_seconds float8,
        retry_factor float8,
        retry_max_delay_seconds float8,
        retention_seconds bigint,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, name)
    )
    """,
    """
    CREATE TABLE jobs (
        project_id uuid NOT NULL,
        id uuid NOT NULL,
        type text NOT NULL,
        queue text NOT NULL,
        engine text,
        collection text,
        state text NOT NULL,
        priority smallint NOT NULL,
        attempt integer NOT NULL,
        max_attempts integer NOT NULL,
        retry_delay_seconds float8 NOT NULL,
        retry_factor float8 NOT NULL,
        retry_max_delay_seconds float8 NOT NULL,
        original_job_id uuid,
        labels json NOT NULL,
        worker text,
        token uuid,
        final_call bytea,
        version bigint NOT NULL,
        stage text,
        progress float8 NOT NULL,
        message text,
        items_total bigint NOT NULL,
        items_processed bigint NOT NULL,
        items_failed bigint NOT NULL,
        items_skipped bigint NOT NULL,
        error_code text,
        error_message text,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        status_changed_at timestamptz NOT NULL,
        scheduled_at timestamptz NOT NULL,
        expires_at timestamptz,
        started_at timestamptz,
        completed_at timestamptz,
        cancelled_at timestamptz,
        cancelled_by text,
        PRIMARY KEY (project_id, id),
        CONSTRAINT jobs_state CHECK (
            state IN (
                'cancelled', 'cancelling', 'completed', 'completed_with_failures', 'dispatched', 'expired',
                'failed', 'pending', 'retrying', 'running'
            )
        ),
        CONSTRAINT jobs_completed_at_when_terminal CHECK (
            (completed_at IS NOT NULL) = (state IN (
                'cancelled', 'completed', 'completed_with_failures', 'expired', 'failed'
            ))
        ),
        CONSTRAINT jobs_progress CHECK (progress BETWEEN 0 AND 100),
        CONSTRAINT jobs_attempt CHECK (attempt BETWEEN 0 AND max_attempts)
    ) WITH (
        autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.02,
        autovacuum_vacuum_cost_delay = 1
    )
    """,
    """
    CREATE INDEX jobs_deadline ON jobs (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('cancelling', 'dispatched', 'pending', 'retrying', 'running')
    """,
    "CREATE INDEX jobs_original ON jobs (project_id, original_job_id) WHERE original_job_id IS NOT NULL",
    "CREATE INDEX jobs_state_id ON jobs (project_id, state, id DESC)",
    """
    CREATE INDEX jobs_waiting ON jobs (project_id, queue, priority DESC, scheduled_at, id)
    WHERE state IN ('pending', 'retrying') AND engine IS NULL
    """,
    """
    CREATE TABLE job_labels (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        name text NOT NULL,
        value text NOT NULL,
        PRIMARY KEY (project_id, job_id, name)
    )
    """,
    "CREATE INDEX job_labels_value ON job_labels (project_id, name, value, job_id DESC)",
    """
    CREATE TABLE runs (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        lease_seconds integer,
        lease_ends_at timestamptz,
        version bigint NOT NULL,
        stage text,
        progress float8 NOT NULL,
        message text,
        declared_total bigint,
        items_count bigint NOT NULL,
        items_processed bigint NOT NULL,
        items_failed bigint NOT NULL,
        items_skipped bigint NOT NULL,
        eta_seconds float8,
        eta_low_seconds float8,
        eta_high_seconds float8,
        samples float8[] NOT NULL,
        log_lines bigint NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, job_id),
        CONSTRAINT runs_progress CHECK (progress BETWEEN 0 AND 99)
    ) WITH (
        fillfactor = 50,
        autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0
    )
    """,
    """
    CREATE TABLE payloads (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        payload json NOT NULL,
        PRIMARY KEY (project_id, job_id)
    )
    """,
    """
    CREATE TABLE results (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        result json,
        billing json,
        PRIMARY KEY (project_id, job_id)
    )
    """,
    """
    CREATE TABLE checkpoints (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        checkpoint json NOT NULL,
        PRIMARY KEY (project_id, job_id)
    )
    """,
    """
    CREATE TABLE items (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        position bigint NOT NULL,
        key text NOT NULL,
        name text,
        uri text,
        status text NOT NULL,
        stage text,
        message text,
        error_code text,
        error_message text,
        skip_reason text,
        size_bytes bigint,
        result json,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, job_id, position),
        CONSTRAINT items_status CHECK (
            status IN (
                'cancelled', 'completed', 'failed', 'processing', 'queued', 'skipped'
            )
        )
    ) WITH (fillfactor = 80)
    """,
    "CREATE UNIQUE INDEX items_key ON items (project_id, job_id, key)",
    """
    CREATE TABLE events (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        id bigint GENERATED ALWAYS AS IDENTITY,
        xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
        type text NOT NULL,
        at timestamptz NOT NULL,
        attempt integer NOT NULL,
        worker text,
        from_state text,
        to_state text NOT NULL,
        data json,
        PRIMARY KEY (project_id, job_id, id)
    )
    """,
    "CREATE INDEX events_feed ON events (project_id, xid, id)",
    """
    CREATE TABLE job_logs (
        project_id uuid NOT NULL,
        job_id uuid NOT NULL,
        line bigint NOT NULL,
        at timestamptz NOT NULL,
        attempt integer NOT NULL,
        level text NOT NULL,
        message text NOT NULL,
        PRIMARY KEY (project_id, job_id, line)
    )
    """,
    """
    CREATE TABLE idempotency_records (
        project_id uuid NOT NULL,
        route text NOT NULL,
        key text NOT NULL,
        fingerprint bytea NOT NULL,
        status smallint NOT NULL,
        job_id uuid,
        body json,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (project_id, route, key)
    )
    """,
    "CREATE INDEX idempotency_records_age ON idempotency_records (created_at)",
)

DOWN = (
    "DROP TABLE idempotency_records",
    "DROP TABLE job_logs",
    "DROP TABLE events",
    "DROP TABLE items",
    "DROP TABLE checkpoints",
    "DROP TABLE results",
    "DROP TABLE payloads",
    "DROP TABLE runs",
    "DROP TABLE job_labels",
    "DROP TABLE jobs",
    "DROP TABLE queues",
    "DROP TABLE keys",
    "DROP TABLE projects",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
