from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from deterministic_embedder import DeterministicEmbedder
from packing_world import passage

from ragstack.answering.evidence import (
    EMBEDDED_STATEMENTS,
    SCARCE_TOKENS,
    WEIGHED_SENTENCES,
    Evidence,
    Weighed,
    full_relevance,
    lexical_relevance,
    rarities,
    weigh,
)
from ragstack.answering.statements import statements
from ragstack.answering.terms import question_terms, stem


class CountingEmbedder(DeterministicEmbedder):
    """Remembers what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.questions = 0

    def embed_documents(self, texts, *, progress=None):
        self.batches.append(list(texts))
        return super().embed_documents(texts, progress=progress)

    def embed_query(self, text):
        self.questions += 1
        return super().embed_query(text)


class VectorsByWord(DeterministicEmbedder):
    """Gives a text with one of the words a vector with that cosine to every question."""

    def __init__(self, cosines: dict[str, float]) -> None:
        super().__init__()
        self.cosines = cosines

    def embed_documents(self, texts, *, progress=None):
        found = [
            next(value for word, value in self.cosines.items() if word in text.lower()) for text in texts
        ]
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        rows[:, 0] = found
        rows[:, 1] = np.sqrt(1 - np.square(found))
        return rows

    def embed_query(self, text):
        return np.eye(1, self.dimension, dtype=np.float32)[0]


def evidence_of(question: str, text: str, statement: str, **changes: object) -> Evidence:
    weighed = weigh(question, statements([passage(text, **changes)]), DeterministicEmbedder())
    return next(each.evidence for each in weighed if each.statement.text == statement)


def texts(weighed: list[Weighed]) -> list[str]:
    return [each.statement.text for each in weighed]


def test_a_statement_with_the_words_of_the_question_comes_first() -> None:
    text = "The crane is blue. The pump was installed in spring. The valve is shut."
    weighed = weigh("When were the pumps installed?", statements([passage(text)]), DeterministicEmbedder())
    assert texts(weighed)[0] == "The pump was installed in spring."


def test_words_that_every_statement_has_tell_hardly_anything() -> None:
    candidates = statements([passage("The pump is red. The pump is old. The pump leaks oil.")])
    shares = rarities(question_terms("Which pump leaks?"), candidates)
    assert shares[stem("leaks")] > 5 * shares[stem("pump")]
    assert sum(shares.values()) == pytest.approx(1.0)


def test_the_statement_before_counts_because_a_pronoun_may_point_to_it() -> None:
    text = "The harbour crane was inspected. It had a broken hook. Dinner was served. Nobody sang."
    question = "What was broken on the harbour crane?"
    follower = evidence_of(question, text, "It had a broken hook.")
    assert follower.words < follower.words_with_previous == 1.0
    far = evidence_of(question, text, "Nobody sang.")
    assert far.words_with_previous < far.words_around


def test_the_surroundings_end_with_the_passage() -> None:
    pieces = [passage("The harbour crane."), passage("It had a hook.", start=100)]
    weighed = weigh("What hook has the harbour crane?", statements(pieces), DeterministicEmbedder())
    follower = next(each.evidence for each in weighed if each.statement.number == 2)
    assert follower.words_with_previous == follower.words


def test_headings_speak_for_what_stands_under_them() -> None:
    text = "# Notice period\n\nIt is four weeks.\n\n# Salary\n\nIt is paid monthly."
    question = "What is the notice period?"
    assert evidence_of(question, text, "It is four weeks.").words == 1.0
    assert evidence_of(question, text, "It is paid monthly.").words == 0.0


def test_a_sentence_without_the_thing_asked_for_loses() -> None:
    text = "The pump is heavy. The pump weighs 4 kg."
    with_number = evidence_of("How much does the pump weigh?", text, "The pump weighs 4 kg.")
    without = evidence_of("How much does the pump weigh?", text, "The pump is heavy.")
    assert (with_number.right_kind, without.right_kind) == (True, False)
    assert without.without_meaning < with_number.without_meaning


@pytest.mark.parametrize(
    ("text", "refers_back"),
    [
        ("This does not mean that it leaks.", True),
        ("That's why it isn't heavy. ", False),
        ("These are heavy.", True),
        ("Those weren't tested.", True),
        ("This pump is heavy.", False),
        ("It is heavy.", False),
        ("Calibrate first; this is free.", False),
    ],
)
def test_a_sentence_that_only_refers_back_stands_behind_one_that_does_not(
    text: str, refers_back: bool
) -> None:
    found = evidence_of("Is the pump heavy?", f"The pump stands here. {text}", text.strip())
    assert found.refers_back is refers_back
    same = replace(found, refers_back=not refers_back)
    assert (found.score < same.score) is refers_back


def test_the_better_passage_wins_between_equal_sentences() -> None:
    pieces = [passage("It leaks.", score=0.4), passage("It leaks.", start=100, score=0.8)]
    weighed = weigh("Does it leak?", statements(pieces), DeterministicEmbedder())
    assert [(each.statement.number, each.evidence.passage) for each in weighed] == [(2, 1.0), (1, 0.5)]


def test_scores_that_are_not_above_zero_do_not_count() -> None:
    assert evidence_of("Does it leak?", "It leaks.", "It leaks.", score=-3.0).passage == 0.0


def test_few_statements_are_embedded_and_in_one_batch() -> None:
    text = " ".join(f"Pump {number} is in hall {number}." for number in range(200))
    embedder = CountingEmbedder()
    weighed = weigh("Where is pump 150?", statements([passage(text)]), embedder)
    assert len(weighed) == EMBEDDED_STATEMENTS
    assert [len(batch) for batch in embedder.batches] == [EMBEDDED_STATEMENTS]
    assert texts(weighed)[0] == "Pump 150 is in hall 150."


def test_the_question_is_not_embedded_again_when_its_vector_is_at_hand() -> None:
    embedder = CountingEmbedder()
    vector = DeterministicEmbedder().embed_query("Does it leak?")
    given = weigh("Does it leak?", statements([passage("It leaks.")]), embedder, vector)
    assert embedder.questions == 0
    computed = weigh("Does it leak?", statements([passage("It leaks.")]), embedder)
    assert embedder.questions == 1
    assert given == computed


def test_without_statements_nothing_is_embedded() -> None:
    embedder = CountingEmbedder()
    assert weigh("Does it leak?", [], embedder) == []
    assert embedder.batches == []


def test_relevance_for_packing_is_the_share_of_the_terms_the_rare_ones_counting_more() -> None:
    sentences = ["The pumps leak.", "A pump.", "It leaks.", "A pump is red.", "Nothing."]
    both, pump, leak, red, nothing = lexical_relevance("Which pump is leaking?")(sentences)
    assert both == pytest.approx(1.0)
    assert nothing == 0.0
    assert 0.0 < pump == red < leak < 1.0


def test_relevance_by_meaning_finds_what_is_said_in_other_words() -> None:
    embedder = VectorsByWord({"car": 0.9, "garden": 0.1, "soup": 0.2, "road": 0.5})
    sentences = ["The car is fast.", "The garden is green.", "Soup is hot.", "A road is long."]
    vector = embedder.embed_query("automobile")
    by_terms = lexical_relevance("Which automobile?")(sentences)
    assert by_terms == [0.0, 0.0, 0.0, 0.0]
    car, garden, soup, road = full_relevance("Which automobile?", vector, embedder, budget=500)(sentences)
    assert (car, garden, soup) == (pytest.approx(1.0), 0.0, 0.0)
    assert 0.0 < road < car


def test_relevance_adds_terms_and_meaning() -> None:
    embedder = VectorsByWord({"car": 0.9, "garden": 0.1, "soup": 0.2})
    sentences = ["The car is fast.", "The garden is green.", "Soup is hot."]
    relevance = full_relevance("Which garden?", embedder.embed_query("garden"), embedder, budget=500)
    assert relevance(sentences) == [pytest.approx(1.0), pytest.approx(1.0), 0.0]


def test_only_so_many_sentences_are_embedded_for_relevance_the_first_ones_and_once() -> None:
    embedder = CountingEmbedder()
    sentences = [f"Sentence number {number}." for number in range(WEIGHED_SENTENCES + 20)]
    relevance = full_relevance("Which number?", embedder.embed_query("Which number?"), embedder, budget=500)
    first = relevance(sentences)
    assert relevance(sentences) == first
    assert [len(batch) for batch in embedder.batches] == [WEIGHED_SENTENCES]
    assert embedder.batches[0] == sentences[:WEIGHED_SENTENCES]
    assert relevance([]) == []


def test_relevance_is_that_of_the_terms_without_a_vector_or_where_tokens_are_not_scarce() -> None:
    sentences, question = ["The pumps leak.", "A pump."], "Which pump is leaking?"
    embedder = CountingEmbedder()
    by_terms = lexical_relevance(question)(sentences)
    assert full_relevance(question, None, embedder, budget=500)(sentences) == by_terms
    vector = embedder.embed_query(question)
    assert full_relevance(question, vector, embedder, budget=SCARCE_TOKENS + 1)(sentences) == by_terms
    assert embedder.batches == []
    full_relevance(question, vector, embedder, budget=SCARCE_TOKENS)(sentences)
    assert embedder.batches == [sentences]


def test_among_close_statements_a_difference_in_meaning_counts_more_than_among_distant_ones() -> None:
    distant, less, close, closest = (
        Evidence(0.0, 0.0, 0.0, 0.0, 0.0, True, meaning=meaning) for meaning in (-0.1, 0.1, 0.6, 0.8)
    )
    assert distant.score < less.score
    assert closest.score - close.score > less.score - distant.score


def test_words_that_stand_together_as_in_the_question_count_more() -> None:
    text = "The notice period has ended. The period of the notice has ended."
    question = "What notice period applies?"
    together = evidence_of(question, text, "The notice period has ended.")
    apart = evidence_of(question, text, "The period of the notice has ended.")
    assert (together.words, together.phrases) == (apart.words, 0.5)
    assert apart.phrases == 0.0
    assert together.without_meaning > apart.without_meaning


def test_a_passage_lends_its_best_meaning_to_its_other_statements() -> None:
    pieces = [passage("The pump leaks oil. Nobody sang."), passage("Dinner was served.", start=100)]
    weighed = weigh("Which pump leaks oil?", statements(pieces), DeterministicEmbedder())
    by_text = {each.statement.text: each.evidence for each in weighed}
    best = by_text["The pump leaks oil."]
    assert by_text["Nobody sang."].meaning_in_passage == best.meaning == best.meaning_in_passage
    assert by_text["Dinner was served."].meaning_in_passage == by_text["Dinner was served."].meaning


def test_support_is_comparable_between_questions() -> None:
    nothing = Evidence(
        words=0.0, words_with_previous=0.0, words_around=0.0, phrases=0.0, passage=1.0, right_kind=True
    )
    assert nothing.support == 0.0
    assert Evidence(1.0, 1.0, 1.0, 1.0, 0.2, False, meaning=1.0).support == pytest.approx(1.0)


def test_a_statement_longer_than_the_embedder_reads_is_cut_and_not_refused() -> None:
    embedder = DeterministicEmbedder(max_tokens=16)
    text = " ".join(["pumps"] * 60) + ". The valve is shut."
    weighed = weigh("Which pump leaks?", statements([passage(text)]), embedder)
    assert len(weighed) == 2
