from __future__ import annotations

import re
from itertools import pairwise

import pytest
from deterministic_embedder import DeterministicEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_world import TextWorld, passage

from ragstack.answering.extractive import (
    CHARACTERS,
    LONGEST_STATEMENT,
    NOT_FOUND,
    SENTENCES,
    ExtractiveAnswer,
    answer_extractively,
)
from ragstack.records import Embedder, Passage

HANDBOOK = """# Staff handbook

## Leaving

An employee who wants to leave gives notice in writing. The notice period is four weeks to the end of
a month. After ten years of service it is three months. Keys and laptops are returned on the last day.

## Travel

Trips of more than one day are approved by the head of department. Trains are booked in second class.
A hotel room may cost up to 120 euros a night.

| city | hotel limit |
|------|-------------|
| Oslo | 160 euros |
| Rome | 140 euros |

## Kitchen

The coffee machine is cleaned every Friday by whoever comes last. Milk is in the small fridge.
"""

SECTIONS = [
    HANDBOOK.index("## Leaving"),
    HANDBOOK.index("## Travel"),
    HANDBOOK.index("## Kitchen"),
    len(HANDBOOK),
]


def handbook() -> tuple[list[Passage], TextWorld]:
    passages = [
        passage(HANDBOOK[start:end].strip(), start=start, score=1.0 - place / 10, title="Staff handbook")
        for place, (start, end) in enumerate(pairwise(SECTIONS))
    ]
    return passages, TextWorld({1: HANDBOOK})


def ask(question: str, embedder: Embedder, **options: bool) -> ExtractiveAnswer:
    passages, world = handbook()
    return answer_extractively(question, passages, embedder, world, **options)


@pytest.mark.parametrize(
    ("question", "expected", "number"),
    [
        ("How long is the notice period?", "The notice period is four weeks to the end of a month.", 1),
        ("Who approves travel?", "Trips of more than one day are approved by the head of department.", 2),
        (
            "When is the coffee machine cleaned?",
            "The coffee machine is cleaned every Friday by whoever comes last.",
            3,
        ),
        (
            "What has to be returned when leaving the company?",
            "Keys and laptops are returned on the last day.",
            1,
        ),
        ("What may a hotel in Rome cost?", "| Rome | 140 euros |", 2),
    ],
)
def test_the_sentence_that_answers_is_in_the_answer_and_cited(
    minilm: Embedder, question: str, expected: str, number: int
) -> None:
    answer = ask(question, minilm)
    assert answer.found
    assert f"{expected} [{number}]" in answer.text
    assert expected in [" ".join(citation.quote.split()) for citation in answer.citations]


def test_the_best_sentence_comes_first(minilm: Embedder) -> None:
    assert ask("How long is the notice period?", minilm).text.startswith("The notice period is four weeks")


def test_a_row_of_a_table_brings_its_header(minilm: Embedder) -> None:
    answer = ask("What is the hotel limit in Oslo?", minilm)
    lines = answer.text.split("\n")
    row = lines.index("| Oslo | 160 euros | [2]")
    assert lines[row - 1] == "| city | hotel limit | [2]"
    assert "| city | hotel limit |" in [citation.quote for citation in answer.citations]


@pytest.mark.parametrize(
    "question", ["Which comet did Halley observe?", "What is the melting point of tungsten?"]
)
def test_what_the_documents_do_not_touch_is_not_answered(minilm: Embedder, question: str) -> None:
    assert ask(question, minilm) == ExtractiveAnswer(NOT_FOUND, found=False)
    assert ask(question, minilm, abstain=False).found


def test_without_passages_there_is_no_answer() -> None:
    assert not answer_extractively("Why?", [], DeterministicEmbedder(), TextWorld({})).found


def test_a_word_of_the_question_alone_is_no_answer() -> None:
    world = TextWorld({1: "Overlap. It is 64 tokens. Tokens."})
    overlap = [passage(world.texts[1])]
    answer = answer_extractively(
        "Which overlap, in tokens?", overlap, DeterministicEmbedder(), world, abstain=False
    )
    assert answer.text == "It is 64 tokens. [1]"
    bare = answer_extractively(
        "Which overlap?", [passage("Overlap.")], DeterministicEmbedder(), world, abstain=False
    )
    assert not bare.found


def test_citations_are_exact_and_numbered_like_the_passages(minilm: Embedder) -> None:
    answer = ask("How long is the notice period after ten years?", minilm)
    passages, _ = handbook()
    for citation in answer.citations:
        assert HANDBOOK[citation.start : citation.end] == citation.quote
        assert citation.passage == passages[citation.number - 1]
    assert [int(number) for number in re.findall(r"\[(\d+)\]", answer.text)] == [
        citation.number for citation in answer.citations
    ]


def test_the_same_sentence_in_two_passages_is_said_once() -> None:
    twice = [
        passage("The pump is red."),
        passage("The pump is RED.", start=100),
        passage("A pump leaks.", start=200),
    ]
    world = TextWorld({1: "x" * 300})
    answer = answer_extractively("Which pump is red?", twice, DeterministicEmbedder(), world)
    assert answer.text.lower().count("the pump is red") == 1


def test_sentences_of_one_passage_stand_together_in_its_order() -> None:
    text = "The blue pump was built in Oslo. Nobody sang. The blue pump leaks oil. The blue pump was sold."
    passages = [passage(text), passage("A pump, blue and old, leaks.", start=200, score=0.9)]
    answer = answer_extractively(
        "Which blue pump leaks oil?", passages, DeterministicEmbedder(), TextWorld({1: "x" * 400})
    )
    numbers = [citation.number for citation in answer.citations]
    assert answer.text.startswith("The blue pump leaks oil. [1]")
    starts = [citation.start for citation in answer.citations[1:] if citation.number == 1]
    assert numbers == sorted(numbers)
    assert starts == sorted(starts)


def test_a_long_sentence_is_cut_to_the_stretch_that_answers_and_shows_that_it_goes_on() -> None:
    filler = "and the rest of the very long report is about matters that nobody asked about"
    text = f"{', '.join([filler] * 4)}, while the red pump leaks since Monday, {', '.join([filler] * 4)}."
    answer = answer_extractively(
        "Since when does the red pump leak?", [passage(text)], DeterministicEmbedder(), TextWorld({1: text})
    )
    (citation, *_) = answer.citations
    assert citation.quote in text
    assert "red pump leaks since Monday" in citation.quote
    assert len(citation.quote) <= LONGEST_STATEMENT
    assert answer.text.startswith("... ")
    assert " ... [1]" in answer.text


WORDS = st.sampled_from("pump valve red leaks oil 1997 Oslo crane, and which; the # | - ? hinge".split())
TEXTS = st.lists(st.lists(WORDS, min_size=1, max_size=40).map(" ".join), min_size=1, max_size=6).map(
    lambda sentences: ". ".join(sentences) + "."
)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=4),
    question=st.lists(WORDS, min_size=1, max_size=6).map(" ".join),
)
def test_an_answer_is_short_and_everything_in_it_is_quoted(texts: list[str], question: str) -> None:
    world = TextWorld({1: "\n\n".join(texts)})
    passages = [passage(text, start=world.texts[1].index(text)) for text in dict.fromkeys(texts)]
    answer = answer_extractively(question, passages, DeterministicEmbedder(), world, abstain=False)
    assert len(answer.chosen) <= SENTENCES
    assert sum(each.end - each.start for each in answer.chosen) <= CHARACTERS
    assert all(each.end - each.start <= LONGEST_STATEMENT for each in answer.chosen)
    for citation in answer.citations:
        assert citation.quote == world.texts[1][citation.start : citation.end]
    shown = (
        re.sub(r" \[\d+\]", "", answer.text).replace("... ", "").replace(" ...", "") if answer.found else ""
    )
    quoted = [" ".join(citation.quote.split()) for citation in answer.citations]
    for quote in quoted:
        assert quote in shown
        shown = shown.replace(quote, "", 1)
    assert shown.strip() == ""
