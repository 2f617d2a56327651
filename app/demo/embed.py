"""Embed texts as vectors without a model, by feature hashing.

Every word adds to the dimension that its digest selects, and so does every three letters of it, so texts that share
words, or forms of the same words, are close to each other. Python's own `hash` is not used, because it changes from run
to run.
"""

from __future__ import annotations

import functools
import hashlib
import math
from array import array
from collections import Counter

from app.demo.words import words

DIMENSIONS = 256
# What the parts of a word add together, beside the 1 of the word.
_PART_SHARE = 0.8
# Components are signed bytes: a quarter of the space, without a difference in search results.
_SCALE = 127


@functools.lru_cache(maxsize=200_000)
def _dimensions(word: str) -> tuple[tuple[int, float], ...]:
    """Return the dimensions of a word and its parts, with what each adds."""
    marked = f"<{word}>"
    parts = [marked[start : start + 3] for start in range(len(marked) - 2)]
    shares = ((part, _PART_SHARE / len(parts)) for part in parts)
    return tuple(_dimension(text, share) for text, share in ((word, 1.0), *shares))


def _dimension(text: str, share: float) -> tuple[int, float]:
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    # With a sign, words that share a dimension cancel out instead of adding up.
    return int.from_bytes(digest[:2], "big") % DIMENSIONS, share if digest[2] & 1 else -share


def embed(text: str) -> bytes:
    """Return the unit vector of a text, one signed byte for each dimension; all zeros for a text without words."""
    vector = [0.0] * DIMENSIONS
    for word, count in Counter(words(text)).items():
        weight = 1 + math.log(count)
        for dimension, share in _dimensions(word):
            vector[dimension] += share * weight
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
