"""Stretches and seams: their tokens add up to those of any text between two seams."""

from __future__ import annotations

import unicodedata

import pytest
from chunking_strategies import documents, nasty_text, without_what_loading_replaces
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.chunking import stretches as module
from ragstack.chunking.embedding_text import embedding_text
from ragstack.chunking.seams import find_seams
from ragstack.chunking.stretches import Grain, find_stretches
from ragstack.chunking.structure import Level, structure_of
from ragstack.records import Document

COARSE = Grain(tokens=1000, characters=4000)


def document_of(text: str) -> Document:
    return Document(text=text, media_type="text/plain", reader="test", reader_version=1)


def stretches_of(text: str, tokenizer, grain: Grain = COARSE) -> list[str]:
    stretches, _ = find_stretches(text, tokenizer, grain)
    return [text[start:end] for start, end in zip(stretches.starts, stretches.ends, strict=True)]


@settings(max_examples=80, deadline=None)
@given(document=documents(), data=st.data())
def test_tokens_between_seams_are_those_of_the_text_between_them(minilm, document, data):
    seams = find_seams(document.text, structure_of(document), minilm, COARSE)
    first = data.draw(st.integers(0, seams.count))
    last = data.draw(st.integers(first, seams.count))
    if first < last and seams.is_exact_between(first, last):
        text = document.text[seams.starts[first] : seams.ends[last - 1]]
        assert minilm.count(embedding_text("", text, minilm.word_limit)) == seams.tokens_between(first, last)


@settings(max_examples=100, deadline=None)
@given(text=nasty_text.map(without_what_loading_replaces), most=st.integers(4, 40), width=st.integers(8, 60))
def test_stretches_hold_every_character_that_is_not_blank(minilm, text, most, width):
    stretches, _ = find_stretches(text, minilm, Grain(most, width))
    position = 0
    for start, end in zip(stretches.starts.tolist(), stretches.ends.tolist(), strict=True):
        assert not text[position:start].strip()
        assert start < end
        position = end
    assert not text[position:].strip()


def test_stretches_begin_where_the_tokenizer_begins_words(minilm):
    assert stretches_of("It's  state-of-the-art,\n漢字!", minilm) == [
        *["It", "'", "s", "state", "-", "of", "-", "the", "-", "art", ",", "漢", "字", "!"]
    ]


def test_characters_without_a_token_belong_to_the_stretch_before(minilm):
    assert stretches_of("one \ufffd\ufffd two\u200b", minilm) == ["one \ufffd\ufffd", "two\u200b"]
    assert stretches_of("\ufffd \ue000", minilm) == ["\ufffd \ue000"]


def test_a_word_longer_than_the_grain_is_parted_at_tokens(minilm):
    word = "antidisestablishmentarianism" * 3
    parts = stretches_of(f"an {word} ends", minilm, Grain(tokens=4, characters=500))
    assert parts[0] == "an"
    assert parts[-1] == "ends"
    assert len(parts) > 4
    assert "".join(parts[1:-1]) == word


def test_a_token_longer_than_the_grain_is_parted_at_characters_and_counted_again(minilm):
    word = "\U0001d518" + "x" * 80  # a letter that MiniLM does not know makes all of it one unknown token
    assert minilm.tokens(word) == ["[UNK]"]
    stretches, _ = find_stretches(word, minilm, Grain(tokens=100, characters=20))
    widths = (stretches.ends - stretches.starts).tolist()
    assert widths == [20, 20, 20, 20, 1]
    assert stretches.is_estimate.all()
    assert stretches.tokens.tolist() == minilm.count_many(stretches_of(word, minilm, Grain(100, 20)))


def test_no_stretch_begins_with_a_combining_mark_or_behind_a_joiner(byte_pairs):
    text = "e\u0301" * 60 + "👩\u200d💻" * 40
    stretches, _ = find_stretches(text, byte_pairs, Grain(tokens=12, characters=30))
    assert len(stretches.starts) > 20
    for start in stretches.starts[1:].tolist():
        assert unicodedata.category(text[start])[0] != "M"
        assert "\u200d" not in text[start - 1 : start + 1]


def test_marks_without_end_are_parted_all_the_same(byte_pairs):
    stretches, _ = find_stretches("e" + "\u0301" * 3000, byte_pairs, Grain(tokens=8, characters=30))
    assert (stretches.ends - stretches.starts).max() <= 30
    assert stretches.tokens.max() <= 9


@pytest.mark.parametrize("separator", ["\n", " ", "", "。"])
def test_pieces_end_between_words(minilm, separator):
    word = "漢字仮名" if separator in ("", "。") else "word"
    text = (word + separator) * (2 * module.PIECE // len(word + separator))
    stretches, parts_no_word = find_stretches(text, minilm, COARSE)
    assert parts_no_word
    assert int(stretches.tokens.sum()) == minilm.count(text)


def test_a_piece_that_can_only_end_inside_a_word_is_reported(minilm):
    _, parts_no_word = find_stretches("x" * (module.PIECE + 10), minilm, COARSE)
    assert not parts_no_word


def test_seams_carry_the_level_of_what_they_part(minilm):
    text = "As follows: one, two.\n\nThree."
    seams = find_seams(text, structure_of(document_of(text)), minilm, COARSE)
    begins = {
        text[seams.starts[seam] :].split()[0]: level_of(seams.beginnings, seam) for seam in range(seams.count)
    }
    assert begins["follows:"] is Level.WORD
    assert begins["two."] is Level.CLAUSE
    assert begins["Three."] is Level.BLOCK
    assert begins[":"] is Level.ANYWHERE


def level_of(by_level: tuple[memoryview, ...], seam: int) -> Level:
    return max(level for level in Level if seam in by_level[level].tolist())
