"""What the page of keys shows: keys in words. Pure functions, as a dialect's translation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app.dashboard.ends import is_past
from app.domain.principal import Principal, Scope, StoredKey

PATH: Final = "/ui/keys"
_MOST_NAMED: Final = 3

SCOPES: Final = {
    Scope.READ: "see all jobs, files, logs, queues and workers",
    Scope.SUBMIT: "create, cancel, rerun and delete jobs",
    Scope.WORK: "claim jobs and report on them: what a worker needs",
    Scope.ADMIN: "all of these, and manage queues and keys",
    Scope.OPERATOR: "everything, in all projects: for whoever runs this service",
    Scope.METRICS: "read /metrics, and nothing else",
}
"""What each scope lets a key do, after "may"."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key in the table."""

    key: StoredKey
    words: str
    queues: str
    """All queues that it is limited to, where the words do not name all of them."""
    state: str
    """`good`, `ended` or `revoked`."""
    is_own: bool
    may_change: bool


def key_rows(keys: Sequence[StoredKey], caller: Principal) -> list[KeyRow]:
    """Return the rows of the table."""
    return [key_row(key, caller) for key in keys]


def key_row(key: StoredKey, caller: Principal) -> KeyRow:
    """Return what is shown of one key."""
    state = "revoked" if key.revoked_at else "ended" if is_past(key.expires_at) else "good"
    return KeyRow(
        key=key,
        words=words_of(key.scopes, key.queues),
        queues=", ".join(sorted(key.queues)) if key.queues and len(key.queues) > _MOST_NAMED else "",
        state=state,
        is_own=key.id == caller.key_id and key.project_id == caller.project_id,
        may_change=state != "revoked" and caller.covers(key.scopes, key.queues),
    )


def words_of(scopes: Iterable[Scope], queues: frozenset[str] | None) -> str:
    """Write what a key may do. Its queues limit what it changes, never what it reads."""
    held = frozenset(scopes)
    of = "" if queues is None else f" of {_named(queues)}"
    if Scope.OPERATOR in held:
        return "may do everything, in all projects" + (f"; changes jobs and rules only{of}" if of else "")
    if Scope.ADMIN in held:
        if not of:
            return "may read, submit and work on jobs, and manage queues and keys"
        return f"may read all jobs and manage keys like itself; may submit, work on and set rules for jobs{of}"
    reads, changes = Scope.READ in held, [word for scope, word in _CHANGES.items() if scope in held]
    parts = [f"{_listed(['read', *changes])} jobs"] if reads and not of else []
    if not parts:
        parts = ["read all jobs"] if reads else []
        parts += [f"{_listed(changes)} jobs{of}"] if changes else []
    if Scope.METRICS in held:
        parts.append("read the metrics")
    return "may " + "; ".join(parts) if parts else "may do nothing"


_CHANGES: Final = {Scope.SUBMIT: "submit", Scope.WORK: "work on"}


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _named(queues: frozenset[str]) -> str:
    names = sorted(queues)
    if len(names) == 1:
        return f"queue {names[0]}"
    if len(names) > _MOST_NAMED:
        return f"the queues {', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"
    return f"the queues {_listed(names)}"


def scope_choices(caller: Principal) -> list[tuple[str, str]]:
    """Return the scopes that a key may hand on, with what each means."""
    return [(scope.value, words) for scope, words in SCOPES.items() if caller.may(scope)]
