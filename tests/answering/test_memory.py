from __future__ import annotations

from deterministic_embedder import DeterministicEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.answering.memory import remember
from ragstack.records import Turn


class Words:
    """A token a word."""

    def count(self, text):
        return len(text.split())

    def count_many(self, texts):
        return [self.count(text) for text in texts]


COUNTER = Words()


def talk(length):
    """A long conversation about colours, with one fact in its third turn."""
    turns = [
        Turn(f"Which colour has room {number}?", f"Room {number} is painted in shade {number} of grey [1].")
        for number in range(1, length + 1)
    ]
    turns[2] = Turn(
        "Who keeps the key of the archive?",
        "Marit Oss keeps the archive key in the blue tin [2]. It is heavy [2].",
    )
    return turns


def test_a_short_conversation_is_remembered_word_for_word_without_its_numbers(minilm):
    memory = remember("And her name?", talk(3), 200, counter=COUNTER, embedder=minilm)
    assert memory.verbatim == (0, 1, 2)
    assert "Question: Who keeps the key of the archive?\nAnswer: Marit Oss keeps" in memory.text
    assert "[" not in memory.text


def test_a_fact_of_the_third_turn_is_recalled_at_the_sixtieth(minilm):
    memory = remember(
        "Where does Marit keep the key of the archive?", talk(59), 120, counter=COUNTER, embedder=minilm
    )
    assert 2 in memory.recalled
    assert "Marit Oss keeps the archive key in the blue tin" in memory.text
    assert 58 in memory.verbatim


def test_the_budget_holds_at_every_one_of_sixty_turns():
    turns = talk(60)
    for length in range(1, 61):
        memory = remember(
            turns[length - 1].question, turns[:length], 90, counter=COUNTER, embedder=DeterministicEmbedder()
        )
        assert COUNTER.count(memory.text) <= 90
        assert memory.text


def test_what_has_nothing_to_do_with_the_question_is_not_recalled(minilm):
    memory = remember("quantum chromodynamics lattice?", talk(40), 60, counter=COUNTER, embedder=minilm)
    assert memory.recalled == ()


def test_turns_stand_in_the_order_in_which_they_were_said(minilm):
    memory = remember("Who keeps the archive key?", talk(30), 80, counter=COUNTER, embedder=minilm)
    assert memory.text.index("archive") < memory.text.index("room 30")


def test_without_room_nothing_is_remembered(minilm):
    assert remember("Who?", talk(3), 0, counter=COUNTER, embedder=minilm).text == ""


@given(
    turns=st.lists(st.builds(Turn, st.text(max_size=60), st.text(max_size=200)), max_size=12),
    budget=st.integers(0, 80),
)
@settings(deadline=None, max_examples=60)
def test_no_conversation_takes_more_than_its_budget(turns, budget):
    memory = remember("Who?", turns, budget, counter=COUNTER, embedder=DeterministicEmbedder())
    assert COUNTER.count(memory.text) <= budget
    assert not set(memory.verbatim) & set(memory.recalled)
