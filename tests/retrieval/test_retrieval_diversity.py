"""Hits that repeat what stands above them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragstack.records import StoredChunk
from ragstack.retrieval.diversity import LEAST_NEW, REPETITION, diversified


def chunk(number: int, start: int, end: int, document: int = 1, text: str | None = None) -> StoredChunk:
    text = text or f"{document}:{start}".ljust(end - start)
    return StoredChunk(number, document, number, start, end, text, 1, (), "a", None, "text/plain", "0")


def test_a_repetition_is_passed_by_a_hit_that_is_nearly_as_good():
    chunks = {1: chunk(1, 0, 100), 2: chunk(2, 40, 140), 3: chunk(3, 500, 600)}
    assert [*diversified([1, 2, 3], {1: 0.9, 2: 0.8, 3: 0.77}, chunks)] == [1, 3, 2]


def test_a_repetition_stays_before_a_hit_that_is_much_worse():
    chunks = {1: chunk(1, 0, 100), 2: chunk(2, 40, 140), 3: chunk(3, 500, 600)}
    assert [*diversified([1, 2, 3], {1: 0.9, 2: 0.8, 3: 0.5}, chunks)] == [1, 2, 3]


def test_text_that_is_mostly_new_is_enough_and_other_documents_are_no_repetition():
    chunks = {1: chunk(1, 0, 100), 2: chunk(2, 70, 170), 3: chunk(3, 0, 100, document=2)}
    assert [*diversified([1, 2, 3], {1: 0.9, 2: 0.89, 3: 0.88}, chunks)] == [1, 2, 3]


def test_text_that_two_hits_give_together_is_known():
    chunks = {1: chunk(1, 0, 50), 2: chunk(2, 120, 160), 3: chunk(3, 30, 130), 4: chunk(4, 500, 600)}
    assert [*diversified([1, 2, 3, 4], {1: 0.9, 2: 0.9, 3: 0.8, 4: 0.79}, chunks)] == [1, 2, 3, 4]
    wider = chunks | {1: chunk(1, 0, 55)}
    assert [*diversified([1, 2, 3, 4], {1: 0.9, 2: 0.9, 3: 0.8, 4: 0.79}, wider)] == [1, 2, 4, 3]


def test_the_same_text_in_another_document_is_a_repetition():
    chunks = {
        1: chunk(1, 0, 100, text="said"),
        2: chunk(2, 50, 150, document=2, text="said"),
        3: chunk(3, 0, 100, document=3),
    }
    assert [*diversified([1, 2, 3], {1: 0.9, 2: 0.89, 3: 0.88}, chunks)] == [1, 3, 2]
    again = chunks | {2: chunk(2, 150, 250, text="said")}  # in one document it stands in another connection
    assert [*diversified([1, 2, 3], {1: 0.9, 2: 0.89, 3: 0.88}, again)] == [1, 2, 3]


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 90), st.floats(-0.2, 1)), min_size=1, max_size=25)
)
def test_every_hit_comes_once_and_none_falls_below_a_much_worse_one(drawn):
    chunks = {number: chunk(number, start, start + length) for number, (start, length, _) in enumerate(drawn)}
    scores = {number: score for number, (_, _, score) in enumerate(drawn)}
    ranking = sorted(scores, key=lambda number: (-scores[number], number))
    order = [*diversified(ranking, scores, chunks)]
    assert sorted(order) == sorted(ranking)
    assert order[0] == ranking[0]
    for place, number in enumerate(order):
        assert all(
            scores[number] >= min(scores[later], REPETITION * scores[later]) for later in order[place:]
        )
    assert 0 < LEAST_NEW < 1
