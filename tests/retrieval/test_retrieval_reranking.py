"""The order of the best hits, decided by a model that reads question and chunk together."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ragstack.records import StoredChunk
from ragstack.retrieval.reranking import RERANKED, reranked


class ByLength:
    """Prefers long texts, and remembers what it was asked to read."""

    note = "by length"

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        self.read = list(texts)
        return [float(len(text)) for text in texts]


def chunk(number: int, length: int) -> StoredChunk:
    return StoredChunk(number, 1, number, 0, length, "x" * length, 1, (), "a.md", None, "text/plain", "0")


@given(st.lists(st.integers(1, 300), max_size=40))
def test_only_the_best_are_read_and_only_their_order_changes(lengths):
    chunks = {number: chunk(number, length) for number, length in enumerate(lengths)}
    ranking = list(chunks)
    scores = {number: 1.0 - number / 100 for number in ranking}
    model = ByLength()
    order, given_scores = reranked(model, "which?", ranking, scores, chunks)
    assert len(model.read) == min(len(ranking), RERANKED)
    assert order[RERANKED:] == ranking[RERANKED:]
    assert sorted(order) == ranking
    best = [lengths[number] for number in order[:RERANKED]]
    assert best == sorted(best, reverse=True)
    assert [given_scores[number] for number in order] == [scores[number] for number in ranking]


def test_what_the_model_cannot_tell_apart_stays_in_its_order():
    chunks = {number: chunk(number, 5) for number in (3, 1, 2)}
    order, _ = reranked(ByLength(), "which?", [3, 1, 2], {3: 0.9, 1: 0.5, 2: 0.1}, chunks)
    assert order == [3, 1, 2]
