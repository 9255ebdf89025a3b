from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.answering.questions import Kind, asked_kind, holds
from ragstack.answering.terms import question_pairs, question_terms, stem, terms, words


def test_endings_and_capitals_do_not_tell_words_apart() -> None:
    assert terms("The installed Pumps") == terms("installing pump")


def test_stop_words_carry_no_evidence() -> None:
    assert terms("What is the price of it?") == [stem("price")]


def test_a_question_of_stop_words_keeps_them() -> None:
    assert question_terms("Who are you?") == ["who", "are", "you"]


def test_a_question_names_each_term_once() -> None:
    assert question_terms("pump, pumps and pumping") == ["pump"]


def test_numbers_keep_their_decimals_and_identifiers_their_underscores() -> None:
    assert words("Version 3.5 of max_tokens, 1,200 bytes.") == [
        "version",
        "3.5",
        "of",
        "max_tokens",
        "1,200",
        "bytes",
    ]


def test_scripts_without_blanks_give_pairs_of_letters() -> None:
    assert words("東京都 has 猫") == ["東京", "京都", "has", "猫"]


@given(st.text())
def test_words_of_any_text_are_found_without_an_error_and_folded(text: str) -> None:
    assert all(word == word.casefold() or not word.isascii() for word in words(text))


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many pumps are there?", Kind.QUANTITY),
        ("What percentage was paid?", Kind.QUANTITY),
        ("When was it built?", Kind.TIME),
        ("In which year did it open?", Kind.TIME),
        ("Who owns the pump?", Kind.NAME),
        ("What city is it in?", Kind.NAME),
        ("Why does the pump stop?", Kind.ANYTHING),
        ("Wie viele Pumpen gibt es?", Kind.ANYTHING),
    ],
)
def test_the_question_word_says_what_is_asked_for(question: str, kind: Kind) -> None:
    assert asked_kind(question) is kind


@pytest.mark.parametrize(
    ("kind", "text", "question", "expected"),
    [
        (Kind.QUANTITY, "There are 14 pumps.", "How many pumps?", True),
        (Kind.QUANTITY, "There are fourteen or twenty pumps.", "How many pumps?", True),
        (Kind.QUANTITY, "The pumps are red.", "How many pumps?", False),
        (Kind.QUANTITY, "Line 3 has pumps.", "How many pumps has line 3?", False),
        (Kind.TIME, "It opened in 1997.", "When did it open?", True),
        (Kind.TIME, "It opened in May.", "When did it open?", True),
        (Kind.TIME, "It opened late.", "When did it open?", False),
        (Kind.NAME, "The pump is owned by Dora Fischer.", "Who owns the pump?", True),
        (Kind.NAME, "The pump is owned by a farmer.", "Who owns the pump?", False),
        (Kind.NAME, "Only Dora may use it.", "Who besides Dora may use it?", False),
        (Kind.ANYTHING, "Anything at all.", "Why?", True),
    ],
)
def test_a_sentence_holds_what_is_asked_for_unless_the_question_said_it(
    kind: Kind, text: str, question: str, expected: bool
) -> None:
    assert holds(kind, text, question) is expected


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("What does error E1042 mean?", ["error", "e1042"]),
        ("what does RH stand for", ["rh"]),
        ("What does the amber light mean ?", ["amber", "light"]),
        ("What does the report say about the mean?", ["report", "say", "mean"]),
        ("What does Table 2 give, the median or the mean?", ["tabl", "2", "give", "median", "mean"]),
        ("What is the mean?", ["mean"]),
    ],
)
def test_the_verb_that_asks_for_a_meaning_is_not_what_is_asked_about(question, found):
    assert question_terms(question) == found


def test_pairs_of_a_question_are_those_of_what_it_asks_about():
    assert question_pairs("What does error E1042 mean?") == {("error", "e1042")}


def test_a_pasted_text_is_read_at_once():
    assert question_terms("what does x " * 50_000) == ["x"]  # in quadratic time nobody would wait for it
