"""Keys as text: how one is generated, and what can be seen of it without the database."""

import hashlib
import re
import secrets
import zlib
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX: Final = "jt"
ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 43
"""Of 62 letters each: 256 bits."""
CHECKSUM_LENGTH: Final = 6
_GENERATED: Final = re.compile(rf"{PREFIX}_[0-9A-Za-z]{{{ID_LENGTH}}}_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}")


def make_key() -> tuple[str, str]:
    """Generate a key `jt_<id>_<secret><checksum>`; returns its id and the key. The checksum shows a typo."""
    key_id = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    body = f"{PREFIX}_{key_id}_" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return key_id, body + _checksum(body)


def is_mistyped(key: str) -> bool:
    """Whether a key has exactly the form of a generated one, and not the checksum of one."""
    return _GENERATED.fullmatch(key) is not None and not key.endswith(_checksum(key[:-CHECKSUM_LENGTH]))


def digest_of(key: str) -> bytes:
    """Digest a key. A fast hash is right here: the input is uniformly random, so stretching would buy nothing."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _checksum(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), []
    for _ in range(CHECKSUM_LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return "".join(reversed(letters))
