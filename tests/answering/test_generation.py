from __future__ import annotations

import pytest

from ragstack.answering.generation import INTERRUPTED, Prediction, write_answer
from ragstack.errors import GenerationError
from ragstack.records import GeneratorDescription, Message, Piece

MESSAGES = (Message("user", "Who?"),)


class Scripted:
    """A generator that yields what it is told to, or raises it."""

    description = GeneratorDescription("http://x#m", "m", "http://x")
    peak_memory = None

    def __init__(self, *steps):
        self.steps = steps
        self.closed = False

    def stream(self, messages, *, max_tokens):
        try:
            for step in self.steps:
                if isinstance(step, BaseException):
                    raise step
                yield step
        finally:
            self.closed = True


class Clock:
    """A second passes at every look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def write(*steps, sent=100, counted=True, show=None):
    generator = Scripted(*steps)
    prediction = Prediction(sent, counted, 0.5, 20.0)
    written = write_answer(
        generator, MESSAGES, max_tokens=64, prediction=prediction, show=show, clock=Clock()
    )
    assert generator.closed
    return written


def ending(reason="stop", prompt=100, answer=3):
    return Piece("", reason, prompt, answer)


def test_what_is_measured_stands_beside_what_was_predicted():
    shown = []
    written = write(Piece("Ann "), Piece("did."), ending(), show=shown.append)
    about = written.generation
    assert (written.text, shown) == ("Ann did.", ["Ann ", "did."])
    assert (about.prompt_tokens, about.predicted_prompt_tokens, about.answer_tokens) == (100, 100, 3)
    assert (about.seconds_to_first_token, about.predicted_seconds_to_first_token) == (1.0, 0.5)
    assert about.tokens_per_second == pytest.approx(2 / (about.seconds - 1.0))
    assert written.warnings == ()


def test_a_failure_keeps_what_was_written():
    written = write(Piece("Ann "), GenerationError("it broke", hint="mend it"))
    assert (written.text, written.generation.error, written.generation.hint) == ("Ann", "it broke", "mend it")


def test_ctrl_c_stops_the_stream_and_keeps_what_was_written():
    written = write(Piece("Ann "), KeyboardInterrupt())
    assert (written.text, written.generation.error) == ("Ann", INTERRUPTED)


@pytest.mark.parametrize(
    ("read", "counted", "cut"), [(50, True, True), (95, True, False), (50, False, True), (70, False, False)]
)
def test_a_prompt_that_the_server_has_cut_is_noticed(read, counted, cut):
    written = write(Piece("Ann"), ending(prompt=read), counted=counted)
    assert any("has cut the prompt" in warning for warning in written.warnings) is cut


def test_an_answer_that_ends_at_the_reserve_says_so():
    (warning,) = write(Piece("Ann"), ending("length")).warnings
    assert "--reserve" in warning


def test_a_model_that_writes_nothing_is_told():
    (warning,) = write(ending()).warnings
    assert "wrote nothing" in warning
