"""The forms of the page of keys, read within the API's bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from app.core.key_admin import NewKey
from app.dashboard.ends import end_of
from app.dashboard.forms import faults_of, text_of
from app.domain.errors import InvalidError
from app.domain.principal import Scope

MOST_NAME: Final = 255
MOST_QUEUES: Final = 100
LENGTHS: Final = [
    ("86400", "in 1 day"),
    ("604800", "in 1 week"),
    ("2592000", "in 30 days"),
    ("7776000", "in 90 days"),
    ("31536000", "in 1 year"),
]


@dataclass(frozen=True, slots=True)
class KeyForm:
    """What stands in the form of a new key, and what is wrong with it."""

    fields: dict[str, str]
    scopes: frozenset[str] = frozenset()
    faults: dict[str, str] = field(default_factory=dict)


EMPTY: Final = {"name": "", "queues": "", "for": "", "at": ""}


def read_new_key(form: Mapping[str, list[str]]) -> NewKey | KeyForm:
    """Read a key to create, or return the form with what is wrong."""
    fields = {name: text_of(form, name) for name in EMPTY}
    chosen = frozenset(form.get("scopes", []))
    scopes = frozenset(scope for scope in Scope if scope.value in chosen)
    # A line each, as it is written: a name may begin with a blank.
    queues = frozenset(line for line in form.get("queues", [""])[-1].splitlines() if line.strip())
    faults: dict[str, str] = {}
    if not 1 <= len(fields["name"]) <= MOST_NAME:
        faults["name"] = f"A name has 1 to {MOST_NAME} characters."
    if not scopes or len(scopes) != len(chosen):
        faults["scopes"] = "Choose at least one."
    if len(queues) > MOST_QUEUES:
        faults["queues"] = f"A key is limited to {MOST_QUEUES} queues at most, one a line."
    elif any(len(queue) > MOST_NAME for queue in queues):
        faults["queues"] = f"The name of a queue has {MOST_NAME} characters at most."
    end = None
    try:
        end = end_of(form)
    except InvalidError as error:
        faults |= faults_of(error, "for", "at")
    if faults:
        return KeyForm(fields, chosen, faults)
    return NewKey(name=fields["name"], scopes=scopes, queues=queues or None, expires_at=end)
