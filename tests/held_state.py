"""The state of a request that is held open under a key, without a service around it."""

from types import SimpleNamespace
from typing import Any

from app.core.key_holds import KeyHolds
from app.db.engine import Database, make_engine
from app.domain.ids import new_id
from app.domain.principal import Principal, Scope

CALLER = Principal(new_id(), "key", "n", frozenset({Scope.READ}))


def held_state(space_seconds: float) -> dict[str, Any]:
    holds = KeyHolds(Database(make_engine("postgresql://nowhere/none", pool_size=1)))
    return {"space_seconds": space_seconds, "services": SimpleNamespace(holds=holds), "principal": CALLER}
