"""Asking from Python for a reader: by name with limits, or by a plan that is made once."""

from __future__ import annotations

import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack import RAGSystem
from ragstack.context.reader_plans import plan_reader
from ragstack.errors import BudgetError, UsageError

QUESTION = "How long is the notice period?"


@pytest.fixture
def system(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with RAGSystem(embedder=DeterministicEmbedder()) as made:
        made.add_document("The notice period is six weeks to the end of a quarter.", name="notice")
        yield made


def limits(answer):
    return {term.name: term.tokens for term in answer.ledger.limits}


def test_a_reader_is_named_with_what_it_may_take(system):
    answer = system.ask(QUESTION, reader="llama3.1:8b", memory="8GB", latency=600, effective=True)
    assert list(limits(answer)) == ["window", "memory", "latency", "effective length"]
    assert answer.ledger.reader == "Llama-3.1-8B"
    assert answer.generator == "extractive"
    assert answer.passages


def test_a_plan_is_made_once_and_used_for_every_question(system):
    plan = plan_reader("llama3.1:8b", gpu="4090", latency=2)
    first, second = (system.ask(question, reader=plan) for question in (QUESTION, "How many weeks?"))
    assert limits(first) == limits(second)
    assert "published peaks of RTX 4090" in first.ledger.binding.reason


def test_the_reserve_and_the_budget_of_a_call_hold_for_a_reader_too(system):
    plan = plan_reader("gpt2", memory="8GB")
    assert limits(system.ask(QUESTION, reader=plan, reserve=24))["window"] == 1_000
    assert system.ask(QUESTION, reader=plan, budget=60).ledger.passage_budget == 60


def test_a_limit_without_a_reader_and_a_reader_without_room_are_errors(system):
    with pytest.raises(UsageError, match="no model is named"):
        system.ask(QUESTION, memory="8GB")
    with pytest.raises(BudgetError, match="no room"):
        system.ask(QUESTION, reader="Llama-3.1-70B", memory="8GB")
    with pytest.raises(BudgetError, match="too slow"):
        system.ask(QUESTION, reader="llama3.1:8b", memory="80GB", latency="1ms")
