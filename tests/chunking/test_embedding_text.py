"""The text that the embedder is given: context first, and no word that WordPiece would not read."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from chunking_strategies import NASTY, nasty_text, without_what_loading_replaces
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.chunking.embedding_text import cut_words, embedding_text, parts_character, word_cuts

any_run = st.lists(
    st.one_of(st.sampled_from(NASTY), st.characters(exclude_categories=["Cs"])), max_size=60
).map("".join)
texts = st.one_of(any_run, nasty_text.map(without_what_loading_replaces))


def unknown_for_length(minilm, text: str) -> list[str]:
    encoding = minilm.library.encode(text, add_special_tokens=False)
    unknown = [
        text[start:end]
        for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True)
        if token == "[UNK]"
    ]
    return [word for word in unknown if len(unicodedata.normalize("NFD", word)) > minilm.word_limit]


def test_the_context_stands_on_a_line_before_the_text():
    assert embedding_text("Title > Part", "The text.", 100) == "Title > Part\nThe text."


def test_without_a_context_the_text_stands_alone():
    assert embedding_text("", "The text.", 100) == "The text."


def test_without_a_word_limit_nothing_changes():
    text = "x" * 500 + "\x0cy"
    assert embedding_text("", text, None) == text


def test_ordinary_text_is_left_as_it_is():
    text = "A state-of-the-art https://example.org/" + "path/" * 50 + " and 漢字" * 90
    assert embedding_text("", text, 100) == text


@pytest.mark.parametrize("word", ["x" * 101, "가" * 34, "é" * 99, "é" * 150, "0123456789" * 400, "Ω" * 1000])
def test_words_over_the_limit_are_cut_into_known_ones(minilm, word):
    assert minilm.tokens(word)[0] == "[UNK]" or len(word) < 100
    given_text = embedding_text("", f"before {word} after", 100)
    assert given_text.replace(" ", "") == f"before{word}after"
    assert unknown_for_length(minilm, given_text) == []
    assert "[UNK]" not in minilm.tokens(given_text)


def test_blanks_that_the_normaliser_deletes_do_not_join_words(minilm):
    assert minilm.tokens("one\x0ctwo") != ["one", "two"]
    assert minilm.tokens(embedding_text("", "one\x0ctwo\x85three\x1dfour", 100)) == [
        "one",
        "two",
        "three",
        "four",
    ]


def test_no_character_decomposes_into_more_than_the_search_for_long_words_allows():
    every = (chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF)
    assert max(len(unicodedata.normalize("NFD", character)) for character in every) <= 4


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_no_word_is_unknown_for_its_length(minilm, text):
    assert unknown_for_length(minilm, embedding_text("", text, minilm.word_limit)) == []


@settings(max_examples=100, deadline=None)
@given(text=texts, limit=st.integers(8, 40))
def test_cuts_part_no_character_from_its_marks_and_add_only_blanks(text, limit):
    cuts = word_cuts(text, limit)
    assert cuts == sorted(set(cuts))
    assert "".join(cut_words(text, cuts).split()) == "".join(text.split())
    for cut, before in zip(cuts, [0, *cuts], strict=False):
        marks_only = all(parts_character(text, place) for place in range(before + 1, cut + 1))
        assert marks_only or not parts_character(text, cut)


@settings(max_examples=100, deadline=None)
@given(text=texts, limit=st.integers(8, 40))
def test_a_text_from_a_cut_on_has_the_cuts_that_remain(text, limit):
    cuts = word_cuts(text, limit)
    for cut in cuts:
        assert word_cuts(text[cut:], limit) == [later - cut for later in cuts if later > cut]
        assert word_cuts(text[:cut], limit) == [earlier for earlier in cuts if earlier < cut]


@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_cutting_twice_is_cutting_once(text):
    once = embedding_text("", text, 100)
    assert embedding_text("", once, 100) == once
