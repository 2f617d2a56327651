"""Cutting, counting, tagging, embedding: pure functions of a text."""

import itertools
import subprocess
import sys
from array import array

import pytest

from app.demo.embed import DIMENSIONS, embed, similarity
from app.demo.words import CHUNK_CHARACTERS, MAX_TAGS, MAX_TERMS, OVERLAP_CHARACTERS, frequent_terms, spans, tags

PROSE = "The quick brown fox jumps over the lazy dog near the river bank. " * 200


@pytest.mark.parametrize("text", [PROSE, "x" * 10_000, "a\n" * 5000, "word " * 3000 + "\n\n" + "tail " * 100])
def test_chunks_cover_the_text_and_overlap(text: str) -> None:
    cut = spans(text)
    assert cut[0][0] == 0
    assert cut[-1][1] == len(text)
    assert all(0 < last - first <= CHUNK_CHARACTERS for first, last in cut)
    assert all(before[1] - after[0] == OVERLAP_CHARACTERS for before, after in itertools.pairwise(cut))


def test_chunks_end_where_the_text_pauses() -> None:
    assert all(PROSE[:last].endswith(". ") for _, last in spans(PROSE)[:-1])


@pytest.mark.parametrize(("text", "expected"), [("", []), ("short", [(0, 5)]), (" \n ", [])])
def test_small_texts_are_one_chunk_or_none(text: str, expected: list[tuple[int, int]]) -> None:
    assert spans(text) == expected


def test_terms_leave_out_what_every_text_has() -> None:
    terms = frequent_terms("The lease and the lease of a worker: return self.lease")
    assert terms == {"lease": 3, "worker": 1}


def test_terms_are_bounded_and_do_not_depend_on_chance() -> None:
    text = " ".join(f"{letter}word{number}" for number in range(40) for letter in "zyxabc")
    assert len(frequent_terms(text)) == MAX_TERMS
    assert list(frequent_terms(text)) == sorted(frequent_terms(text))


def test_tags_are_frequent_here_and_rare_elsewhere() -> None:
    terms = {"lease": 5, "common": 9, "rare": 1, **{f"other{number}": 1 for number in range(20)}}
    files_with = {"lease": 2, "common": 100, **{f"other{number}": 90 for number in range(20)}}
    chosen = tags(terms, files_with, 100)
    assert chosen[:2] == ["lease", "rare"]
    assert len(chosen) == MAX_TAGS
    assert "common" not in chosen


def test_an_embedding_is_a_unit_vector_of_bytes() -> None:
    vector = embed(PROSE)
    assert len(vector) == DIMENSIONS
    assert sum(part * part for part in array("b", vector)) == pytest.approx(127**2, rel=0.02)
    assert embed("") == embed("1 2 ;") == bytes(DIMENSIONS)


def test_embeddings_are_the_same_in_every_process() -> None:
    # A process of its own has a hash seed of its own.
    script = "from app.demo.embed import embed; print(embed('jobs are leased to workers').hex())"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == embed("jobs are leased to workers").hex()


def test_related_texts_are_closer_than_unrelated_ones() -> None:
    one = embed("A worker claims a job and holds a lease until the job has ended.")
    related = embed("The lease of the job ended, so another worker claims it.")
    unrelated = embed("Boil the potatoes with salt, then add butter and warm milk.")
    assert similarity(one, one) == pytest.approx(1)
    assert similarity(one, related) > similarity(one, unrelated) + 0.2
    assert similarity(one, bytes(DIMENSIONS)) == 0
