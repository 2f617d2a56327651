"""Embed texts as vectors without a model, by feature hashing.

Every word adds to the dimension that its digest selects, so texts that share words are close to each other. Python's
own `hash` is not used, because it changes from run to run.
"""

from __future__ import annotations

import functools
import hashlib
import math
from array import array
from collections import Counter

from app.demo.words import words

DIMENSIONS = 256
# Components are signed bytes: a quarter of the space, without a difference in search results.
_SCALE = 127


@functools.lru_cache(maxsize=200_000)
def _dimension(word: str) -> tuple[int, float]:
    digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
    # With a sign, words that share a dimension cancel out instead of adding up.
    return int.from_bytes(digest[:2], "big") % DIMENSIONS, 1.0 if digest[2] & 1 else -1.0


def embed(text: str) -> bytes:
    """Return the unit vector of a text, one signed byte for each dimension; all zeros for a text without words."""
    vector = [0.0] * DIMENSIONS
    for word, count in Counter(words(text)).items():
        dimension, sign = _dimension(word)
        vector[dimension] += sign if count == 1 else sign * (1 + math.log(count))
    length = math.sqrt(math.fsum(part * part for part in vector))
    if not length:
        return bytes(DIMENSIONS)
    scale = _SCALE / length
    return array("b", [round(part * scale) for part in vector]).tobytes()


def similarity(first: bytes, second: bytes) -> float:
    """Return the cosine of two vectors: 1 for the same direction, about 0 for unrelated texts."""
    a, b = array("b", first), array("b", second)
    lengths = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0
