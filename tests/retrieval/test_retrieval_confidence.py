"""Whether what was found is enough to answer from."""

from __future__ import annotations

from ragstack.records import Hit, ScoreShares, StoredChunk
from ragstack.retrieval.confidence import LEAST_CONFIDENCE, confidence, seems_answered
from ragstack.retrieval.fusion import NEARNESS


def hit(cosine: float, nearness: float) -> Hit:
    chunk = StoredChunk(1, 1, 0, 0, 4, "text", 1, (), "a.md", None, "text/plain", "0")
    shares = ScoreShares(meaning=0.0, words=0.0, nearness=NEARNESS * nearness, adjacency=0.0)
    return Hit(chunk, 0.5, dense_score=cosine, shares=shares)


def test_meaning_or_words_alone_are_not_enough_and_together_they_are():
    assert not seems_answered("who turns the tide?", [hit(0.5, 0.2)])
    assert not seems_answered("who turns the tide?", [hit(0.1, 0.6)])
    assert seems_answered("who turns the tide?", [hit(0.5, 0.6)])


def test_both_must_be_in_one_chunk():
    apart = [hit(0.6, 0.0), hit(0.0, 0.6)]
    assert confidence("who turns the tide?", apart) < confidence("who turns the tide?", [hit(0.6, 0.6)])
    assert not seems_answered("who turns the tide?", apart)


def test_a_long_question_needs_less_of_its_words_in_one_place():
    long = "which keeper of the lighthouse wrote the log about tides, storms, ships and lamps every evening?"
    assert confidence(long, [hit(0.4, 0.3)]) > confidence("keeper of the log?", [hit(0.4, 0.3)])
    endless = " ".join(f"word{number}" for number in range(1000))
    assert confidence(endless, [hit(0.0, 0.0)]) < LEAST_CONFIDENCE


def test_what_cannot_be_judged_is_left_to_the_reader():
    assert seems_answered("who turns the tide?", [])
    assert seems_answered("味噌の熟成には何か月かかりますか", [hit(0.1, 0.0)])
