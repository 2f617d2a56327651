"""Which jobs a claim may take, most urgent first, as SQL text that the statements of `claims` are made of."""

from app.db.lookups import lookup, state_among
from app.db.sizes import JOB_ROW_SIZE
from app.db.statement import literals
from app.domain.states import CLAIMABLE

_DUE = """
    j.scheduled_at <= statement_timestamp() AND (j.expires_at IS NULL OR j.expires_at > statement_timestamp())
"""
WAITING_IN_QUEUE = f"""
    j.project_id = q.project_id AND j.queue = q.name AND j.engine IS NULL
    AND j.state IN ({literals(CLAIMABLE)}) AND NOT j.copying AND {_DUE}
"""
WAITING = f"{state_among(CLAIMABLE)} AND NOT j.copying AND {_DUE}"
MOST_URGENT_FIRST = "ORDER BY j.priority DESC, j.scheduled_at, j.id"
CANDIDATE = f"j.project_id, j.id, j.state, j.priority, j.scheduled_at, j.queue, {JOB_ROW_SIZE} AS row_size"

# Each queue is walked along its own index, so that a backlog of a million in one costs nothing to a claim from another;
# SKIP LOCKED lets concurrent claimers pass each other. A few rows more than asked for may be locked until the commit.
BY_QUEUE = f"""
    SELECT c.* FROM queues q LEFT JOIN free s ON s.name = q.name CROSS JOIN LATERAL (
        SELECT {CANDIDATE} FROM jobs j
        WHERE {WAITING_IN_QUEUE} AND (:types IS NULL OR j.type = ANY (:types))
        {MOST_URGENT_FIRST} LIMIT least(:max, s.free) FOR NO KEY UPDATE SKIP LOCKED
    ) c
    WHERE q.project_id = :project_id AND NOT q.paused AND (q.concurrency_limit IS NULL OR s.free IS NOT NULL)
      AND (:queues IS NULL OR q.name = ANY (:queues))
    ORDER BY c.priority DESC, c.scheduled_at, c.id LIMIT :max
"""

_FITTING = f"""
    {WAITING} AND (:types IS NULL OR j.type = ANY (:types)) AND (:queues IS NULL OR j.queue = ANY (:queues))
"""
# Only this way are the jobs of an engine handed out. Sorted first and then locked one by one, so that no more are
# locked than are taken: another claim that names the same jobs gets the rest.
BY_ID = f"""
    SELECT c.* FROM (
        SELECT j.id FROM (SELECT DISTINCT requested.id FROM unnest(:job_ids) AS requested (id)) requested
        CROSS JOIN {lookup("jobs", "j", project_id=":project_id", id="requested.id")}
        WHERE {_FITTING} {MOST_URGENT_FIRST}
    ) f CROSS JOIN LATERAL (
        SELECT {CANDIDATE} FROM jobs j WHERE j.project_id = :project_id AND j.id = f.id AND {_FITTING}
        FOR NO KEY UPDATE SKIP LOCKED
    ) c
    LIMIT :max
"""
