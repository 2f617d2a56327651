"""Look-ups of rows by known keys, whatever size the planner takes the tables for.

A CTE that updates counts as one row and an empty table as none, however much they hold when the plan runs. To read a
table once then seems to cost no more than to look up each row, and the planner took the one for the other (measured: a
claim of 200 compared 880,000 pairs in 156 ms). Every statement that joins rows known by key with a table therefore
spells the join in one of the ways below, which leave no other plan.
"""

from collections.abc import Iterable

from app.db.statement import literals


def lookup(table: str, alias: str, **key: str) -> str:
    """Write the right side of a join: the row under a key, whose values may be columns of the left side.

    A subquery that sorts is not flattened into its outer query, so that each row on the left is one look-up; what is
    sorted by a constant is not sorted. A LIMIT would do too, but Citus refuses it in a batch of several projects.
    What the outer WHERE says of the row alone is moved inside: a condition on the state stands in `state_among`.
    """
    conditions = " AND ".join(f"{alias}.{column} = {value}" for column, value in key.items())
    last = next(reversed(key))
    return f"LATERAL (SELECT * FROM {table} {alias} WHERE {conditions} ORDER BY {alias}.{last}) {alias}"


def target_by_key(alias: str, **key: str) -> str:
    """Write the condition that joins the rows to be changed or locked, which cannot come from a subquery.

    Of the column that the key's index begins with, `= ANY (ARRAY[...])` can be neither hashed nor merged: no walk along
    the index has an order that would serve a join, and the look-up is all that is left. What the rows are joined with
    is a CTE that is materialized, for Citus asks for a plain equality between two of its tables.
    """
    (first, value), *rest = key.items()
    return " AND ".join(
        [f"{alias}.{first} = ANY (ARRAY[{value}])", *(f"{alias}.{column} = {value}" for column, value in rest)]
    )


def state_among(states: Iterable[str]) -> str:
    """Write that a job found by its key is in one of these states, hidden from the planner.

    An index of jobs in such states would seem to serve the look-up as well. And statistics that were taken while
    nothing ran tell that hardly any job has one of them; the planner would begin with all that have, and compare each
    with each of the batch (measured: 585 ms for 1,000 completions in place of 34). A strict function would not do: from
    it follows that the state is not null, which is the condition of `jobs_state_id`.
    """
    return f"nullif(j.state, '') IN ({literals(states)})"
