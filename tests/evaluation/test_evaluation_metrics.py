"""Measures of spans, budgets, repetition and answers: worked examples and their definitions."""

import pytest
from evaluation_data import characters_of, span_lists
from hypothesis import given
from hypothesis import strategies as st

from ragstack.evaluation.metrics import (
    characters,
    contains_answer,
    normalised_answer,
    recall_within_budget,
    repeated_share,
    span_recall,
    span_scores,
    spend,
)
from ragstack.evaluation.spans import Span


def span(start, end, document="a"):
    return Span(document, start, end)


def test_span_scores_of_a_chunk_that_holds_half_of_the_gold():
    scores = span_scores([span(0, 100)], [span(50, 150)])

    assert scores.recall == 50 / 100
    assert scores.precision == 50 / 100
    assert scores.iou == 50 / (100 + 50)


def test_characters_in_two_chunks_are_found_once_and_charged_twice():
    scores = span_scores([span(0, 100), span(50, 150)], [span(60, 80)])

    assert scores.recall == 1.0
    assert scores.precision == 20 / 200
    assert scores.iou == 20 / 200


def test_chunks_of_another_document_are_charged_but_find_nothing():
    scores = span_scores([span(0, 100, "b"), span(0, 100)], [span(0, 10)])

    assert (scores.recall, scores.precision) == (1.0, 10 / 200)


def test_nothing_retrieved_scores_zero():
    scores = span_scores([], [span(0, 10)])

    assert (scores.recall, scores.precision, scores.iou) == (0.0, 0.0, 0.0)


def test_a_question_without_gold_has_no_recall():
    with pytest.raises(ValueError, match="no recall"):
        span_scores([span(0, 10)], [])


@given(span_lists, span_lists.filter(bool))
def test_span_scores_are_their_definition_on_sets_of_characters(retrieved, gold):
    scores = span_scores(retrieved, gold)
    wanted = characters_of(gold)
    found = len(characters_of(retrieved) & wanted)
    charged = sum(each.length for each in retrieved)

    assert scores.recall == pytest.approx(found / len(wanted))
    assert scores.precision == pytest.approx(found / charged if charged else 0.0)
    assert scores.iou == pytest.approx(found / (charged + len(wanted) - found))
    assert span_recall(retrieved, gold) == scores.recall


def test_a_budget_charges_an_overlapping_span_only_for_what_it_adds():
    ranked = [span(0, 100), span(50, 150), span(100, 200)]

    assert spend(ranked, 150, characters) == ranked[:2]
    assert spend(ranked, 200, characters) == ranked


def test_a_span_that_does_not_fit_is_skipped_for_a_smaller_one():
    small, large, other = span(0, 40), span(100, 300), span(400, 450)

    assert spend([small, large, other], 100, characters) == [small, other]


def test_a_span_that_adds_nothing_is_left_out():
    assert spend([span(0, 100), span(20, 30)], 1000, characters) == [span(0, 100)]


def test_a_budget_in_tokens_prices_the_pieces_by_the_given_cost():
    ranked = [span(0, 10), span(5, 15), span(100, 110)]

    assert spend(ranked, 4, lambda piece: piece.length // 5) == [span(0, 10), span(5, 15)]


def test_recall_within_a_budget_is_that_of_what_fits():
    ranked, gold = [span(0, 100), span(200, 300)], [span(50, 60), span(250, 260)]

    assert recall_within_budget(ranked, gold, 150) == 0.5
    assert recall_within_budget(ranked, gold, 200) == 1.0


@given(span_lists, st.integers(0, 60))
def test_spending_is_its_definition_on_sets_of_characters(ranked, budget):
    expected, held = [], set()
    for each in ranked:
        added = characters_of([each]) - held
        if added and len(held | added) <= budget:
            expected.append(each)
            held |= added

    assert spend(ranked, budget, characters) == expected


def test_a_repeated_run_of_tokens_counts_as_repeated_wherever_it_stands():
    first = "one two three four five".split()
    second = "zero two three four nine".split()

    assert repeated_share([first, second], run=3) == 3 / 10
    assert repeated_share([first, second], run=4) == 0.0
    assert repeated_share([[*first, *first]], run=3) == 5 / 10


def test_overlapping_repeated_runs_count_their_tokens_once():
    tokens = "a b c d e f".split()

    assert repeated_share([tokens, tokens], run=2) == 0.5


def test_nothing_repeats_in_nothing():
    assert repeated_share([]) == 0.0
    assert repeated_share([[]]) == 0.0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It was painted by the Dutch master.", "Dutch master"),
        ("It was painted by a Dutch, master-like man.", "the dutch"),
        ("In 1,234 cases", "1234"),
        ("Grade: A was given", "A"),
        ("It costs 5 %", "%"),
    ],
)
def test_an_answer_is_contained_whatever_its_case_articles_and_punctuation(text, answer):
    assert contains_answer(["nothing here", text], answer)


@pytest.mark.parametrize(
    ("text", "answer"), [("seventeen", "seven"), ("the cat", "the dog"), ("anything", ""), ("", "x")]
)
def test_an_answer_is_not_contained_in_parts_of_words(text, answer):
    assert not contains_answer([text], answer)


def test_an_answer_is_not_put_together_from_two_texts():
    assert not contains_answer(["ends with blue", "whale begins"], "blue whale")


def test_normalised_answers_are_those_of_squad():
    assert normalised_answer("  The Grand-Duke's  an Apple! ") == "granddukes apple"
