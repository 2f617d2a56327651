"""A text as a vector, without a model: feature hashing.

Every word adds to one of the dimensions, which its digest names; texts that share words come close to
each other. Python's own `hash` changes from run to run, so it is not used.
"""

from __future__ import annotations

import functools
import hashlib
import math
from array import array
from collections import Counter

from app.demo.words import words

DIMENSIONS = 256
# A component as a signed byte: a quarter of the room, and no difference to what is found.
_SCALE = 127


@functools.lru_cache(maxsize=200_000)
def _place(word: str) -> tuple[int, float]:
    digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
    # The sign lets words that share a dimension cancel out instead of adding up.
    return int.from_bytes(digest[:2], "big") % DIMENSIONS, 1.0 if digest[2] & 1 else -1.0


def embed(text: str) -> bytes:
    """Give the unit vector of a text, one signed byte for each dimension; zeros for one without words."""
    vector = [0.0] * DIMENSIONS
    for word, count in Counter(words(text)).items():
        dimension, sign = _place(word)
        vector[dimension] += sign if count == 1 else sign * (1 + math.log(count))
    length = math.sqrt(math.fsum(part * part for part in vector))
    if not length:
        return bytes(DIMENSIONS)
    scale = _SCALE / length
    return array("b", [round(part * scale) for part in vector]).tobytes()


def similarity(one: bytes, other: bytes) -> float:
    """Give the cosine of two vectors: 1 for the same direction, about 0 for unrelated texts."""
    a, b = array("b", one), array("b", other)
    lengths = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0
