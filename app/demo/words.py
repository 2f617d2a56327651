"""Words: cut a text into chunks, count its words, and choose the keywords of a file."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Mapping

CHUNK_CHARACTERS = 2000
OVERLAP_CHARACTERS = 200
# How many candidates for tags are kept of each file.
MAX_TERMS = 100
MAX_TAGS = 8

_WORD = re.compile(r"[a-z][a-z0-9_]{2,29}|[^\W\d_a-z]\w{1,29}")
# Words that do not characterize a text: from English, from Python, and from HTML that was shown as text.
_STOP_WORDS = """
    about after all also and any are args because been before being between bool both but bytes can class cls could
    def default dict does down each elif else except false few float for from get had has have her here his how
    http https if import int into isinstance its just kwargs lambda len license like list made make may more most
    must name none nor not object one only optional other our out over pass raise return returns same self set
    should some str such super than that the their them then there these they this those through too true try tuple
    two type typing under until use used using value values very was were what when where which while who why will
    with without would yield you your
"""
_STOP = frozenset(_STOP_WORDS.split())
_BREAKS = ("\n\n", "\n", ". ", " ")


def spans(text: str) -> list[tuple[int, int]]:
    """Return the offsets of overlapping chunks, cut at the end of a paragraph, line, sentence or word.

    Because of the overlap, a sentence that a cut divides can still be found as a whole.
    """
    cuts: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = _end(text, start)
        if not text[start:end].isspace():
            cuts.append((start, end))
        if end >= len(text):
            break
        start = end - OVERLAP_CHARACTERS
    return cuts


def _end(text: str, start: int) -> int:
    limit = start + CHUNK_CHARACTERS
    if limit >= len(text):
        return len(text)
    for mark in _BREAKS:
        # Not before the middle: a chunk must be longer than the overlap, or there would be no progress.
        position = text.rfind(mark, start + CHUNK_CHARACTERS // 2, limit)
        if position >= 0:
            return position + len(mark)
    return limit


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return _WORD.findall(text.lower())


def frequent_terms(text: str) -> dict[str, int]:
    """Return the most frequent words of a text, without stop words, with their counts."""
    counts = Counter(words(text))
    for word in _STOP & counts.keys():
        del counts[word]
    # Sorted by count, then alphabetically: ties must not depend on the order of a hash table.
    best = heapq.nsmallest(MAX_TERMS, counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return dict(best)


def tags(terms: Mapping[str, int], files_with: Mapping[str, int], files: int) -> list[str]:
    """Choose the words that distinguish a file: frequent in it, rare in the others (tf-idf)."""

    def weight(term: str) -> float:
        return (1 + math.log(terms[term])) * math.log((1 + files) / (1 + files_with.get(term, 0)))

    return heapq.nsmallest(MAX_TAGS, terms, key=lambda term: (-weight(term), term))
