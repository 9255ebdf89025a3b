"""Questions that no store, tokenizer or model could take are made readable first."""

from __future__ import annotations

import pytest
from chat_server import answering, chat_server
from deterministic_embedder import DeterministicEmbedder
from hypothesis import given
from hypothesis import strategies as st

from ragstack.asking.question_text import readable_question
from ragstack.system import RAGSystem

BROKEN = ["Who fed the caf\udce9 cat?", "Who fed \x00 the cat?", "\ud83d who fed the cat?"]


@given(st.text(st.characters(categories=["L", "N", "P", "Z", "Cs", "Cc"])))
def test_what_comes_out_is_as_long_and_can_be_encoded(text):
    readable = readable_question(text)
    assert len(readable) == len(text)
    assert "\x00" not in readable
    assert readable.encode().decode() == readable


@pytest.mark.parametrize("question", BROKEN)
def test_a_question_with_broken_characters_is_searched_answered_and_written_down(question):
    with RAGSystem(embedder=DeterministicEmbedder()) as system:
        system.add_document("Ann fed the cat at noon.", name="cats.txt")
        assert system.retrieve(question)
        copied = system.ask(question, abstain=False)
        with chat_server(answering("Ann fed it [1]."), v1__models={"data": [{"id": "tiny"}]}) as server:
            written = system.ask(question, llm=f"{server.url}#tiny", abstain=False)
        assert system.record(written, system.record(copied)) is not None
    assert copied.found
    assert written.found
    assert "\ufffd" in copied.question
