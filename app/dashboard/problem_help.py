"""What each error code means to the person who meets it: its cause, and what to do."""

from typing import Final, NamedTuple


class Help(NamedTuple):
    """A code's cause and remedy, each one or two sentences of HTML text."""

    cause: str
    remedy: str


_SAME: Final = "Send the same request again, unchanged, after the seconds of Retry-After."

HELP: Final[dict[str, Help]] = {
    "malformed": Help(
        "The request cannot be read: its body is not JSON, or a header or the query is not what HTTP allows.",
        "Look at what is really sent (curl -v). The same request fails again.",
    ),
    "unauthorized": Help(
        "No key was sent, or it is unknown, has expired or was revoked.",
        "Send Authorization: Bearer jt_... once. The first key was printed by make run or jobtrack serve; "
        "jobtrack keys create makes another.",
    ),
    "forbidden": Help(
        "The key is valid, and lacks the scope or is limited to other queues; the detail names which.",
        "Use a key with that scope. A key's rights never change: create a new one.",
    ),
    "not_found": Help(
        "There is nothing at this path, or the id is of another project, was deleted, or is not written in lower case.",
        "Check the path and the id, and that the key is of the project in which the job was created.",
    ),
    "method_not_allowed": Help(
        "The path exists, and not with this method.", "Use a method that the header Allow names."
    ),
    "body_timeout": Help(
        "The body did not arrive in time.", "Send it again, over a faster connection or in smaller parts."
    ),
    "too_large": Help(
        "The body is longer than this call takes; the detail names the limit.",
        "Split a batch. Store a large payload elsewhere and send its address, or upload it as the job's input.",
    ),
    "unsupported_media_type": Help(
        "The body is not declared as JSON, or is compressed.",
        "Send Content-Type: application/json, and no Content-Encoding.",
    ),
    "invalid": Help(
        "The request can be read, and some fields are wrong: errors lists each with its place.",
        "Correct the fields. Unknown fields and query parameters are refused too, so look for a typing error.",
    ),
    "too_many_queues": Help(
        "The project has as many queues as the setting JOBTRACK_MAX_QUEUES allows, and this name would be one more.",
        "Look for a program that makes a queue for each job. A name without rules and jobs is forgotten after an hour; "
        "DELETE /v1/queues/{queue} forgets another.",
    ),
    "invalid_cursor": Help(
        "The cursor is not one of this list, or it was made with another filter.",
        "Repeat the filter of the page that the cursor came from, or begin without a cursor.",
    ),
    "cursor_expired": Help(
        "The database was restored into another cluster, in which the cursor is no place.",
        "Read the current state, and begin without a cursor.",
    ),
    "throttled": Help(
        "Too many wrong keys came from this address.",
        "Correct the key in whatever keeps sending it, then wait for the seconds of Retry-After.",
    ),
    "key_limit": Help(
        "One key holds as many waits, streams, claims or uploads open in this process as one key may.",
        "End some of them, ask for several jobs in one wait, or use a key for each program.",
    ),
    "head_too_large": Help(
        "The address and the headers together are longer than any call needs.",
        "Shorten the query: fewer values, or a call with a body.",
    ),
    "internal_error": Help(
        "This is a fault of the service.",
        "Report it with the request's id (instance, also X-Request-ID): the log has the cause under it.",
    ),
    "unavailable": Help(
        "The database does not answer, or the service is stopping. What was asked for may or may not have been done.",
        f"{_SAME} With an Idempotency-Key it takes effect once. If it lasts, look at /readyz and at the log.",
    ),
    "too_many_waits": Help(
        "This process holds as many calls open as it may.",
        f"{_SAME} If it happens often, run more processes.",
    ),
    "no_space": Help(
        "The disk of the database is full, or nearly.",
        "Free some space on it. Jobs that have ended can be deleted, or kept less long by their queue's retention.",
    ),
    "busy": Help("Other calls had all connections to the database for too long; nothing was changed.", _SAME),
    "conflict": Help("The job is not in a state that allows this.", "Look at job, the job as it is, and decide anew."),
    "lease_lost": Help(
        "The token is not of the job's latest lease: another worker holds the job, or this one gave it back, or the "
        "lease ran out and the queue has no place.",
        "Stop working on this job and drop what was not reported: another attempt does it. To keep a lease, report at "
        "least three times within its time.",
    ),
    "already_terminal": Help(
        "The job has ended, and an ended job never changes.",
        "Read job.status to learn how it ended. To run it again, rerun it.",
    ),
    "invalid_transition": Help(
        "The job's status does not allow this step; the detail names the status.",
        "Wait for the job to end, or cancel it first.",
    ),
    "idempotency_in_progress": Help("The first request with this Idempotency-Key has not finished.", _SAME),
    "queue_full": Help(
        "The queue holds as many jobs as its concurrency_limit allows, so none is created already claimed.",
        "Try again when one has ended, create the job without claim, or raise the queue's limit.",
    ),
    "queue_in_use": Help(
        "The queue has jobs that have not ended.", "Wait for them, or cancel them, and delete the queue then."
    ),
    "input_gone": Help(
        "The job's input held credentials, and was dropped when the job ended.",
        "Create the job anew, with its input.",
    ),
    "range_not_satisfiable": Help(
        "The range of bytes lies outside of the input.", "Content-Range says how long the input is."
    ),
    "key_revoked": Help("The key was revoked, which is for good.", "Create a new key."),
    "last_operator_key": Help(
        "Without this key nobody could administer the service any more.",
        "Create another key with operator that lasts as long, then end this one.",
    ),
}
"""By code, in the order of their statuses."""
