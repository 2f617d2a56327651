"""What bounds each row, in words: from profiles (py-spy, EXPLAIN ANALYZE, samples of pg_stat_activity), not a guess."""

BOUNDS: dict[int, str] = {
    1: "one core of the service. The bare server spends its time on parsing and sending, and each of our six further "
    "headers costs it 0.6 µs more; our own part with key, scope, headers and metrics takes 17 µs a request; asking "
    "the database, one question for all who ask at that moment, takes some 30, a third of which is waiting for "
    "its answer. The profile is flat: nothing of ours is above 4 %.",
    2: "as row 1 without the database, so that our own part's 17 µs beside the server's own are what is left. The "
    "database says every 0.4 s, for a thousand jobs at a time, whether those read lately are still there.",
    3: "as row 1; a version is asked for by the same question as a body, and nothing is sent.",
    4: "the service's core: bodies that were rendered before are joined; the database looks at two index entries a "
    "job.",
    5: "memory: uvicorn's connection and uvloop's, a task or two, and some 3 KB of what a wait itself knows. The "
    "p99: once a second 10,000 jobs are checked, which takes the service 10 ms in slices of half a millisecond "
    "and the database 30 ms at once; with load generator, service and database on two cores, two to three of a "
    "hundred reads meet it. With the check switched off the p99 is the same with waits as without (2.9 ms).",
    6: "the service's core, on which each second 500 completions are committed, 500 waits are answered and 500 are "
    "begun. No wait reads anything: the commit tells it the job. The p99 was the garbage collector, timed by its "
    "callbacks: with ten thousand waits a full collection takes 0.3 to 1 s, and one of the middle generation 0.1 to "
    "0.5 s; a round of four seconds may miss both. Now each walks what was made in a quarter of a second, 5 to 25 ms "
    "(`jobtrack_gc_pause_seconds`). Two trees beside each other, 10,000 waits each, came to a p99 of 122 ms and of "
    "32 ms over 16 turns. What makes up the rest was not told apart.",
    7: "one core, on which 10,000 answers are written one after the other, 100 µs each, two hundred at a time so "
    "that others get their turn; nobody reads the job.",
    8: "single: the service's core, half of it HTTP and JSON, the other half the job's way through validation, the "
    "statement's arrays and its rendering. In batches: the service's core too, about 30 µs a job, of which the row, "
    "the job and its text take twelve, the driver five and the announcement three; beside it the database inserts a "
    "job with its payload, its event and seven index entries in 22.",
    9: "one by one: 1.3 ms of processor for three calls, with the load generator's beside it on the same two cores. A "
    "call waits for the group before it and then for its own: two round trips for a report, one for a completion or a "
    "claim, in which at most sixteen calls share one. In batches: the service's core, about 120 µs a job for three "
    "calls: six rows decoded, two validated, two rendered whole.",
    10: "the database's core: a row, its text index and its primary key are written anew for each update.",
    11: "a deeper index, and pages that are not in shared buffers.",
    12: "what PostgreSQL must keep: while the snapshot is held no version of a row can be removed, so that each "
    "heartbeat leaves its 190 bytes behind; a claim meets the same in the index of waiting jobs.",
    13: "one look a second for leases, a question every five seconds for what is kept no longer, uvicorn's clock once "
    "a second, and the watch over the database four times.",
    14: "the machine: two processes, the database and the load generator share two cores, so that a second process "
    "adds at most what the first left idle. Each gathers only its own callers into a commit, so that a job one by one "
    "costs the database more; how much of it is that was not profiled.",
    15: "a factor below 1 in costs and times is in Jobtrack's favour, one above 1 in rates. One by one: calls of many "
    "clients share a commit at the service, while a library pays for one each. In batches and at work: a job's "
    "payload, events and run are rows of their own with their indexes, and it is parsed and rendered once more "
    "for HTTP. Waits: the service tells who waits, as pgqueuer's NOTIFY does after 50 ms; the others ask once or "
    "twice a second. What a library's process costs is its enqueuer, worker and waiter together.",
    16: "the service's core: the template takes two fifths, more than half of it for the rows of fifty files, and "
    "three statements a third, most of which is asyncpg and the decoding of their rows.",
}
