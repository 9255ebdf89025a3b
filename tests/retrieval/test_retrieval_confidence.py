"""Whether what was found is enough to answer from."""

from __future__ import annotations

from ragstack.records import Hit, ScoreShares, StoredChunk
from ragstack.retrieval.confidence import LEAST_CONFIDENCE, confidence, is_off_topic, seems_answered
from ragstack.retrieval.fusion import NEARNESS


def hit(cosine: float, nearness: float, matched: tuple[str, ...] = ()) -> Hit:
    chunk = StoredChunk(1, 1, 0, 0, 4, "text", 1, (), "a.md", None, "text/plain", "0")
    shares = ScoreShares(meaning=0.0, words=0.0, nearness=NEARNESS * nearness, adjacency=0.0)
    return Hit(chunk, 0.5, dense_score=cosine, shares=shares, matched=matched)


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


def test_a_chunk_without_the_identifier_of_the_question_does_not_answer_it():
    question = "how is the error E1019 cleared on the chamber?"
    assert seems_answered(question, [hit(0.6, 0.5, ("error", "e1019", "chamber"))])
    assert not seems_answered(question, [hit(0.6, 0.5, ("error", "chamber"))])


def test_names_must_stand_in_the_chunk_that_answers_and_not_in_another_one():
    question = "when did Edith Warne keep the light of Skerryvore?"
    names = ("edith", "warne", "skerryvore")
    close, distant = hit(0.6, 0.5), hit(0.1, 0.0, names)
    assert confidence(question, [close, distant]) < confidence(question, [hit(0.6, 0.5, names)])
    some = confidence(question, [hit(0.6, 0.5, names[:1])])
    assert confidence(question, [close]) < some < confidence(question, [hit(0.6, 0.5, names)])


def test_a_year_that_the_answer_lacks_does_not_refuse_it():
    assert seems_answered("how long is the guarantee for a chamber bought in 2025?", [hit(0.5, 0.5)])


def test_what_a_pasted_letter_names_is_not_looked_for():
    letter = " ".join(f"word{number}" for number in range(30)) + " says Warne of E1019"
    assert confidence(letter, [hit(0.6, 0.5)]) == confidence(letter, [hit(0.6, 0.5, ("warne", "e1019"))])


def test_off_topic_is_far_below_what_is_refused_without_a_model():
    question = "what is the capital of the moon?"
    assert is_off_topic(question, [hit(0.1, 0.1)])
    unlikely = [hit(0.5, 0.2)]
    assert not seems_answered(question, unlikely)
    assert not is_off_topic(question, unlikely)


def test_only_english_questions_are_off_topic():
    assert not is_off_topic("wie lange gilt die Garantie?", [hit(0.1, 0.0)])
    assert not is_off_topic("what is the capital of the moon?", [])
