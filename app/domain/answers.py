"""How large an answer may be, and which of the jobs' documents it shows."""

from typing import Final, NamedTuple

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""The default. An answer has one row at least, however large; a job's input and streams have no such bound."""


class Include(NamedTuple):
    """Which documents of jobs to read."""

    payload: bool = False
    result: bool = False
    billing: bool = False
    as_text: bool = False
    """They are shown as JSON in a JSON string, where every byte may take an escape: half as many fit."""


EVERYTHING: Final = Include(payload=True, result=True, billing=True)
