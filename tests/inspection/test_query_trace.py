"""A traced question tells what the stages of `ask` did."""

from __future__ import annotations

import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack import RAGSystem
from ragstack.errors import UsageError
from ragstack.inspection.trace import trace_query
from ragstack.records import Filter

QUESTION = "How often is the pump of the north chamber cleaned?"


@pytest.fixture
def system():
    with RAGSystem(embedder=DeterministicEmbedder()) as made:
        made.add_document("The pump of the north chamber is cleaned every 5 days.", name="a/north.md")
        made.add_document("The door of the south chamber is oiled once a year.", name="b/south.md")
        yield made


def test_the_trace_agrees_with_search_and_ask(system):
    traced = trace_query(system, QUESTION)
    assert [hit.chunk.chunk_id for hit in traced.hits] == [
        hit.chunk.chunk_id for hit in system.retrieve(QUESTION, 100)
    ]
    asked = system.ask(QUESTION)
    assert traced.answer.text == asked.text
    assert traced.answer.ledger == asked.ledger


def test_tokens_cover_the_question_and_every_stage_has_its_time(system):
    traced = trace_query(system, QUESTION)
    assert "".join(traced.tokens) == QUESTION.replace(" ", "")
    assert [stage.name for stage in traced.stages] == [
        "open the embedder",
        "tokens",
        "embedding",
        "vector search",
        "full-text search",
        "both searches and fusion",
        "the whole answer",
    ]
    assert all(stage.seconds >= 0 for stage in traced.stages)


def test_a_filter_holds_in_every_stage(system):
    traced = trace_query(system, QUESTION, where=Filter(paths=("b/*",)))
    assert {hit.chunk.path for hit in traced.hits} == {"b/south.md"}
    assert len(traced.dense) == 1


def test_an_empty_store_says_what_to_do():
    with (
        RAGSystem(embedder=DeterministicEmbedder()) as empty,
        pytest.raises(UsageError, match="empty") as raised,
    ):
        trace_query(empty, QUESTION)
    assert "ragstack ingest" in str(raised.value.hint)
