"""Summaries are sentences of the text, chosen by their words, within their length."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from strategy_world import DocumentWorld

from ragstack.answering.terms import terms
from ragstack.records import Filter
from ragstack.strategies.sections import sections_of
from ragstack.strategies.summaries import (
    DOCUMENT_CHARACTERS,
    OUTLINE_CHARACTERS,
    SECTION_CHARACTERS,
    Sentence,
    document_card,
    sum_basic,
    summarise_section,
)

TEXT = (
    "# Bread\n\nBread is made of flour, water and salt. My aunt came by on Tuesday with her two dogs. "
    "Bread of rye flour needs more water than bread of wheat flour. The weather was fine.\n\n"
    "# Soup\n\nSoup begins with stock. Stock for soup is simmered from bones for hours.\n"
)


def summaries(text):
    world = DocumentWorld({1: text})
    (document,) = world.selected_documents(Filter())
    return document, [summarise_section(section, world) for section in sections_of(document, world)]


def test_a_summary_takes_the_sentences_with_the_commonest_words():
    _, (bread, _) = summaries(TEXT)
    chosen = [sentence.text for sentence in bread.sentences]
    assert "Bread of rye flour needs more water than bread of wheat flour." in chosen
    assert "The weather was fine." not in chosen
    assert bread.card.startswith("Note 1 > Bread\n")


def test_a_document_s_card_has_its_title_its_headings_and_sentences():
    document, found = summaries(TEXT)
    card = document_card(document, found)
    assert card.startswith("Note 1 > Bread; Soup\n")
    assert "Bread is made of flour, water and salt." in card


def sentences_of(*texts):
    return [Sentence(place, text, tuple(terms(text))) for place, text in enumerate(texts)]


def test_words_that_were_used_count_less_for_the_next_sentence():
    same = ["Copper copper wire copper.", "Copper wire copper wire.", "Granite stone cutter granite."]
    listed = sentences_of(*same)
    frequencies = Counter(term for each in listed for term in each.terms)
    assert [each.start for each in sum_basic(listed, frequencies, 60)] == [0, 2]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("abc de.\n"), min_size=1, max_size=80), min_size=1, max_size=20),
    st.integers(10, 200),
)
def test_a_summary_is_never_longer_than_asked_for(texts, characters):
    listed = sentences_of(*texts)
    frequencies = Counter(term for each in listed for term in each.terms)
    chosen = sum_basic(listed, frequencies, characters)
    assert sum(len(each.text) for each in chosen) <= characters
    assert [each.start for each in chosen] == sorted({each.start for each in chosen})


def test_cards_have_a_bounded_length_whatever_the_document_is_like():
    text = "".join(f"# {'Long title ' * 9}{number}\n\n{'word ' * 900}\n\n" for number in range(40))
    document, found = summaries(text)
    most = OUTLINE_CHARACTERS + DOCUMENT_CHARACTERS + 200
    assert len(document_card(document, found)) <= most
    assert all(len(each.card) <= SECTION_CHARACTERS + 200 for each in found)
