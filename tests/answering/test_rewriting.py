from __future__ import annotations

import pytest

from ragstack.answering.followup import standalone_question
from ragstack.answering.rewriting import search_question
from ragstack.errors import GenerationError
from ragstack.records import GeneratorDescription, Piece, Turn

TURNS = [Turn("How long is the compressor guaranteed?", "Sixty months [1].")]
QUESTION = "And the labour?"
ALONE = standalone_question(QUESTION, TURNS)


class Rewriter:
    """A generator that writes what it is told to."""

    description = GeneratorDescription("http://x#m", "m", "http://x")

    def __init__(self, text):
        self.text = text
        self.asked = []

    def stream(self, messages, *, max_tokens):
        self.asked.append(messages)
        if isinstance(self.text, Exception):
            raise self.text
        yield Piece(self.text)


def test_the_models_wording_is_searched_for_beside_the_users():
    rewriter = Rewriter("How long is labour guaranteed for the compressor?\n\nAnswer: twelve")
    found = search_question(QUESTION, TURNS, rewriter)
    assert found == f"{ALONE} How long is labour guaranteed for the compressor?"
    assert "Last question: And the labour?" in rewriter.asked[0][1].content


@pytest.mark.parametrize(
    "text",
    ["", "\n", "word " * 200, "Buy gold now at the best price in town?", GenerationError("it broke")],
)
def test_what_is_no_rewriting_is_left_out(text):
    assert search_question(QUESTION, TURNS, Rewriter(text)) == ALONE


def test_a_rewriting_that_loses_a_code_is_left_out():
    question = "And what about E1086?"
    alone = standalone_question(question, TURNS)
    assert search_question(question, TURNS, Rewriter("What does the compressor guarantee?")) == alone
    kept = "What does the guarantee say about E1086?"
    assert search_question(question, TURNS, Rewriter(kept)) == f"{alone} {kept}"


def test_a_question_that_stands_by_itself_is_not_rewritten():
    rewriter = Rewriter("nonsense")
    question = "Which releases of Link changed the default of export_retention_days?"
    assert search_question(question, TURNS, rewriter) == question
    assert search_question(QUESTION, [], rewriter) == QUESTION
    assert rewriter.asked == []
