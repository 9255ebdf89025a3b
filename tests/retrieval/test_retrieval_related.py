"""The table of related words that travels with the package."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.embedding.open import open_embedder
from ragstack.retrieval.related import _TABLE, related_words


def test_words_of_like_meaning_are_related_and_the_closest_comes_first():
    words = [each.word for each in related_words("movi")]
    assert words[0] == "film"
    closeness = [each.closeness for each in related_words("movi")]
    assert closeness == sorted(closeness, reverse=True)


def test_every_line_is_a_stem_and_some_close_words_and_stems_are_sorted():
    lines = _TABLE.read_text(encoding="ascii").splitlines()
    assert all(re.fullmatch(r"[a-z]+( [a-z]{3,}:(?:[5-9]\d|100)){1,8}", line) for line in lines)
    stems = [line.split()[0] for line in lines]
    assert stems == sorted(set(stems))
    assert len(stems) > 10_000


@given(st.text(max_size=20))
def test_any_word_may_be_looked_up(word):
    assert all(0.5 <= each.closeness <= 1 for each in related_words(word))


@pytest.mark.parametrize(("word", "stem"), [("movie", "movi"), ("increase", "increas"), ("king", "king")])
def test_the_table_is_what_the_default_model_says(word, stem):
    embedder = open_embedder(offline=True)
    lines = _TABLE.read_text(encoding="ascii").splitlines()
    others = [line.split()[1].partition(":")[0] for line in lines[::100]]
    words = [word, *(each.word for each in related_words(stem)), *others]
    vectors = embedder.embed_documents(words)
    vectors = vectors - vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors[1:] @ vectors[0]
    related = len(related_words(stem))
    assert cosines[:related].mean() > cosines[related:].mean() + 0.3
