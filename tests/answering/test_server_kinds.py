"""How each kind of server tells its window and counts tokens, from the question to the ledger."""

from __future__ import annotations

import pytest
from chat_server import answering, chat_server
from deterministic_embedder import DeterministicEmbedder

from ragstack.answering.templating import prompt_limit
from ragstack.system import RAGSystem

QUESTION = "Which cats were fed?"


@pytest.fixture
def system():
    with RAGSystem(embedder=DeterministicEmbedder()) as opened:
        opened.add_document("\n\n".join(f"Ann fed cat {n} in room {n}." for n in range(300)), name="cats.txt")
        yield opened


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("RAGSTACK_API_KEY", raising=False)


def window_of(answer):
    return next(term for term in answer.ledger.limits if term.name == "window")


def charges(answer):
    return {term.name: term.tokens for term in answer.ledger.charges}


OLLAMA_MODEL = {
    "model_info": {
        "general.architecture": "llama",
        "general.parameter_count": 1_000_000,
        "llama.context_length": 131_072,
        "llama.embedding_length": 64,
        "llama.block_count": 2,
        "llama.feed_forward_length": 128,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.vocab_size": 1_024,
    },
    "details": {"quantization_level": "Q4_K_M"},
}


def ollama(**changes):
    """Ollama with a model on its disk that it loads when it is asked to, with a window of 2,048."""
    loaded = []

    def generate(body):
        loaded.append(body["model"])
        return {"done": True}

    def running(_body):
        return {"models": [{"name": name, "context_length": 2_048} for name in loaded]}

    paths = {
        "api__version": {"version": "0.12"},
        "api__tags": {"models": [{"name": "tiny:latest", "size": 1_000_000}]},
        "api__show": OLLAMA_MODEL,
        "api__ps": running,
        "api__generate": generate,
    }
    return chat_server(answering("Cat 1 [1].", prompt_tokens=700), **{**paths, **changes})


def test_ollama_is_asked_for_the_window_that_it_allocates_not_the_models_own(system):
    with ollama() as server:
        answer = system.ask(QUESTION, llm=f"{server.url}#tiny:latest")
    assert answer.generation.error == ""
    assert window_of(answer).tokens + answer.ledger.reserve == 2_048
    assert "allocated (server)" in window_of(answer).reason


def test_a_server_that_does_not_count_leaves_a_margin(system):
    with ollama() as server:
        answer = system.ask(QUESTION, llm=f"{server.url}#tiny:latest")
    assert charges(answer)["safety margin"] >= 0.1 * prompt_limit(answer.ledger)


def test_a_dry_run_loads_no_model(system):
    with ollama() as server:
        system.ask(QUESTION, llm=f"{server.url}#tiny:latest", dry_run=True)
        assert "/api/generate" not in [each.path for each in server.requests]


def test_vllm_tells_its_window_and_counts(system):
    def count(body):
        words = body.get("prompt") or " ".join(each["content"] for each in body["messages"])
        return {"count": len(words.split()), "max_model_len": 1_500}

    with chat_server(
        answering("Cat 1 [1]."),
        v1__models={"data": [{"id": "tiny", "owned_by": "vllm", "max_model_len": 1_500}]},
        tokenize=count,
    ) as server:
        answer = system.ask(QUESTION, llm=server.url)
    assert window_of(answer).tokens + answer.ledger.reserve == 1_500
    assert "safety margin" not in charges(answer)
    assert answer.generation.predicted_prompt_tokens <= prompt_limit(answer.ledger)


def test_a_server_that_tells_nothing_gets_the_usual_window_and_a_margin(system):
    with chat_server(answering("Cat 1 [1]."), v1__models={"data": [{"id": "mystery"}]}) as server:
        answer = system.ask(QUESTION, llm=server.url)
    assert window_of(answer).tokens + answer.ledger.reserve == 4_096
    assert "assumed" in window_of(answer).reason
    assert "safety margin" in charges(answer)


def test_a_window_that_is_given_counts_where_the_server_tells_none(system):
    with chat_server(answering("Cat 1 [1]."), v1__models={"data": [{"id": "mystery"}]}) as server:
        answer = system.ask(QUESTION, llm=server.url, window=900)
    assert window_of(answer).tokens + answer.ledger.reserve == 900


def test_several_models_and_none_named_is_told_with_the_names(system):
    listed = {"data": [{"id": "small"}, {"id": "large"}]}
    with chat_server(answering("x"), v1__models=listed) as server:
        answer = system.ask(QUESTION, llm=server.url)
        assert server.chats == []
    assert "`small`, `large`" in answer.generation.error
    assert answer.passages


def test_a_prompt_that_the_server_has_cut_is_told(system):
    with ollama() as server:
        server.replies[:] = [answering("Cat 1 [1].", prompt_tokens=60)]
        answer = system.ask(QUESTION, llm=f"{server.url}#tiny:latest")
    assert any("has cut the prompt" in warning for warning in answer.warnings)


def test_what_was_measured_before_predicts_the_next_answer(system):
    with ollama() as server:
        llm = f"{server.url}#tiny:latest"
        for _ in range(3):
            system.record(system.ask(QUESTION, llm=llm))
        about = system.ask(QUESTION, llm=llm).generation
    assert about.prediction == "3 earlier answers of this model"
    assert about.predicted_seconds_to_first_token > 0


def test_a_latency_is_kept_by_what_was_measured_before(system):
    """Three answers that took a second for 100 tokens leave room for about 600 tokens in six seconds."""
    from dataclasses import replace

    with ollama() as server:
        llm = f"{server.url}#tiny:latest"
        measured = system.ask(QUESTION, llm=llm)
        for tokens in (90, 100, 110):
            timed = replace(measured.generation, prompt_tokens=tokens, seconds_to_first_token=tokens / 100)
            system.record(replace(measured, generation=timed))
        answer = system.ask(QUESTION, llm=llm, latency=6)
    (latency,) = [term for term in answer.ledger.limits if term.name == "latency"]
    assert latency.tokens == pytest.approx(600, abs=2)
    assert answer.ledger.binding is latency
