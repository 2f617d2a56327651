"""How many bytes rows take in an answer, measured in the database so that no more is fetched than an answer may hold.

JSON is stored as answers write it, or with a blank after every comma and all but ASCII escaped: what is sent is never
longer. Texts are measured as JSON, for a control character takes six bytes there. What else a row has is a constant.
"""

from typing import Final

ANY_SIZE: Final = 2**63 - 1
"""For a list whose contract has no place for a page that ends early; its rows are bounded in number."""


def size_of_texts(*columns: str) -> str:
    """Write the bytes that texts take as JSON."""
    return f"octet_length(CAST(to_json(concat({', '.join(columns)})) AS text))"


def size_of_json(column: str) -> str:
    """Write the bytes that a document takes. It is unpacked for that, which costs the database a millisecond a MiB."""
    return f"coalesce(octet_length(CAST({column} AS text)), 0)"


_NAMES: Final = ("type", "queue", "engine", "collection", "worker", "stage", "error_code", "cancelled_by")
JOB_ROW_SIZE: Final = (
    f"1200 + {size_of_json('j.labels')} + "
    f"{size_of_texts(*(f'j.{name}' for name in _NAMES), 'j.message', 'j.error_message')}"
)
"""The bytes of a job `j` without its documents, as far as its own row has them."""
JOB_SIZE: Final = f"{JOB_ROW_SIZE} + {size_of_texts('r.stage', 'r.message')}"
"""The bytes of a job `j` with its run `r`, without its documents."""

FITS: Final = "(m.place = 1 OR m.size_so_far <= :max_size)"
"""Whether a row of `running_total` is in the answer: the first one always is."""


def running_total(rows: str, order: str) -> str:
    """Write a subquery that adds to rows, each with its `size`, their place, the sum of all sizes so far, and how many
    rows there are.
    """
    return f"""(
        SELECT s.*, row_number() OVER w AS place, sum(s.size) OVER w AS size_so_far, count(*) OVER () AS found
        FROM ({rows}) s WINDOW w AS (ORDER BY s.{order})
    )"""


def fitting(rows: str, order: str, *packed: str) -> str:
    """Write a query of those rows, with their `size` and documents, that an answer of `:max_size` has room for.

    Documents are packed, and their packed size is known without reading them. Only what could fit by that is unpacked
    to be measured.
    """
    stored = " + ".join(f"coalesce(pg_column_size(s.{column}), 0)" for column in packed)
    return f"""
        SELECT m.* FROM {
        running_total(
            f'''
            SELECT s.*, CASE WHEN sum({stored}) OVER (ORDER BY s.{order}) <= :max_size
                             THEN s.row_size + {" + ".join(size_of_json(f"s.{column}") for column in packed)}
                             ELSE :max_size END AS size
            FROM ({rows}) s
        ''',
            order,
        )
    } m WHERE {FITS}
    """
