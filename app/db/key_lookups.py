"""Which keys are valid now: by digest for those who send one, by id for those who hold something open.

The database's clock decides, as it does for everything that is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.lookups import lookup
from app.db.parameters import Batch
from app.db.projection import Projection, reading
from app.db.statement import Statement
from app.db.times import finite
from app.domain.principal import KeyRef, Principal

_K: Final = tables.keys.alias("k")
VALID: Final = "k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > statement_timestamp())"
"""The condition that a key of the alias `k` is good."""


class _Digest(NamedTuple):
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Found:
    digest: bytes
    principal: Principal


PRINCIPAL: Final = Projection(Principal, _K, {"key_id": _K.c.id, "expires_at": reading(_K.c.expires_at, finite)})
SELECT_BY_DIGESTS = Statement(
    f"SELECT :returned FROM :rows CROSS JOIN {lookup('keys', 'k', digest='i.digest')} WHERE {VALID}",
    Batch(_Digest),
    Projection(_Found, _K, {"principal": PRINCIPAL}),
)


async def select_by_digests(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, Principal]:
    """Find the valid keys with these digests. The one look-up without a project: the key is what names it."""
    rows = [_Digest(digest) for digest in digests]
    return {found.digest: found.principal for found in await connection.fetch(SELECT_BY_DIGESTS, rows)}


SELECT_PRINCIPAL = Statement(
    f"SELECT :returned FROM :rows CROSS JOIN {lookup('keys', 'k', project_id='i.project_id', id='i.key_id')} "
    f"WHERE {VALID}",
    Batch(KeyRef),
    PRINCIPAL,
)


async def select_principal(connection: Connection, key: KeyRef) -> Principal | None:
    """Return the principal of a key, if it is valid."""
    return next(iter(await connection.fetch(SELECT_PRINCIPAL, [key])), None)


@dataclass(frozen=True, slots=True)
class _Valid:
    project_id: UUID
    key_id: str
    seconds_left: float | None


SELECT_VALID = Statement(
    "SELECT :returned FROM :rows CROSS JOIN "
    f"{lookup('keys', 'k', project_id='i.project_id', id='i.key_id')} WHERE {VALID}",
    Batch(KeyRef),
    Projection(
        _Valid,
        _K,
        {
            "key_id": _K.c.id,
            "seconds_left": "CASE WHEN isfinite(k.expires_at) "
            "THEN CAST(extract(epoch FROM k.expires_at - statement_timestamp()) AS double precision) END",
        },
    ),
)


async def select_valid(connection: Connection, refs: Sequence[KeyRef]) -> dict[KeyRef, float | None]:
    """Return those of the keys that are valid, each with the seconds until its end."""
    found = await connection.fetch(SELECT_VALID, refs)
    return {KeyRef(valid.project_id, valid.key_id): valid.seconds_left for valid in found}
