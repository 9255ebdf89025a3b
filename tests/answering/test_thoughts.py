"""What a model thinks before it answers is no part of its answer, however its marks are cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.answering.generation import Prediction, write_answer
from ragstack.answering.thoughts import MARKS, Thoughts, without_thoughts
from ragstack.records import GeneratorDescription, Message, Piece

WORDS = st.text("ab <>/think[]THINK\n.1", max_size=30)


def read(*stretches):
    thoughts = Thoughts()
    return "".join([*map(thoughts.answered, stretches), thoughts.rest()])


def cut(text, places):
    ends = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


@given(text=WORDS, places=st.lists(st.integers(0, 60), max_size=8))
def test_how_a_text_is_cut_changes_nothing(text, places):
    assert read(*cut(text, places)).lstrip() == read(text).lstrip()


@given(thought=WORDS, answer=WORDS, mark=st.sampled_from(list(MARKS)), places=st.lists(st.integers(0, 90)))
def test_thoughts_at_the_beginning_are_left_out(thought, answer, mark, places):
    closing = MARKS[mark]
    if closing in thought + closing[:-1]:
        thought = ""
    whole = f"\n{mark}{thought}{closing}\n\n{answer}"
    assert read(*cut(whole, places)).lstrip() == answer.lstrip()


@given(WORDS.filter(lambda text: not any(mark[0] in text for mark in MARKS)))
def test_a_text_without_marks_is_itself(text):
    assert read(*text) == text


def test_a_mark_within_an_answer_stays():
    answer = "Models write <think> before they answer [1]."
    assert read(answer) == answer
    assert read("<", "b>bold</b>") == "<b>bold</b>"


def test_thoughts_without_an_end_are_no_answer():
    assert read("<think>", "So, ", "the cat") == ""


def test_a_closing_mark_alone_ends_thoughts_that_the_template_began():
    assert without_thoughts("So, the cat [2].</think>\n\nAnn [1].") == "Ann [1]."


class Scripted:
    description = GeneratorDescription("http://x#m", "m", "http://x")
    peak_memory = None

    def __init__(self, *texts):
        self.texts = texts

    def stream(self, messages, *, max_tokens):
        yield from map(Piece, self.texts)
        yield Piece("", "stop", 100, 9)


@pytest.mark.parametrize(
    "texts", [("<th", "ink>Hm [7]</th", "ink>\n", "Ann [1]."), ("<think></think>Ann [1].",)]
)
def test_only_the_answer_is_shown_and_kept_and_the_first_token_is_the_first_thought(texts):
    shown = []
    ticks = iter(range(100))
    written = write_answer(
        Scripted(*texts),
        (Message("user", "Who?"),),
        max_tokens=64,
        prediction=Prediction(100, True),
        show=shown.append,
        clock=lambda: float(next(ticks)),
    )
    assert "".join(shown).strip() == written.text == "Ann [1]."
    assert written.generation.seconds_to_first_token == 1.0
    assert written.warnings == ()
