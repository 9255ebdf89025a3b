"""`ragstack evaluate` on a small span folder."""

from __future__ import annotations

import json

import pytest
from evaluation_data import DOCUMENTS, QUESTIONS
from tiny_models import save_tiny_cross_encoder


@pytest.fixture
def dataset(folder, light_models):
    """A span folder in the working directory."""
    data = folder / "harbour"
    (data / "documents").mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (data / "documents" / name).write_text(text, encoding="utf-8", newline="\n")
    lines = "\n".join(json.dumps(question) for question in QUESTIONS)
    (data / "questions.jsonl").write_text(lines + "\n", encoding="utf-8")
    return data


def test_the_table_has_a_line_a_measure_and_a_column_a_policy(invoke, dataset):
    result = invoke("evaluate", dataset, "--compare", "dense", "--compare", "top-k", "--top-k", "2")
    assert result.exit_code == 0, result.output
    title, header, *rows = result.stdout.splitlines()
    assert title.startswith("harbour, half: all; 2 questions with evidence")
    assert header.split() == ["measure", "hybrid", "dense", "top-k"]
    assert any(row.strip().startswith("evidence in 1000 tokens") for row in rows)
    assert any("chunks of 200 tokens, overlap 50" in row for row in rows)


def test_another_chunk_size_has_its_own_index(invoke, dataset):
    result = invoke("evaluate", dataset, "--compare", "32/8", "--json")
    policies = json.loads(result.stdout)["policies"]
    assert policies["32/8"]["chunker"]["size"] == 32
    assert policies["32/8"]["chunks"] > policies["hybrid"]["chunks"]


def test_json_holds_means_differences_and_every_question(invoke, dataset):
    document = json.loads(
        invoke("evaluate", dataset, "--compare", "lexical", "--abstention", "--json").stdout
    )
    assert set(document["policies"]) == {"hybrid", "lexical"}
    assert len(document["policies"]["hybrid"]["questions"]) == 2
    assert {"mean", "low", "high"} <= set(document["differences"]["lexical"]["recall"])
    assert document["abstention"]["unanswerable"] == 1


def test_budgets_in_characters_are_measured_when_asked_for(invoke, dataset):
    usual = json.loads(invoke("evaluate", dataset, "--json").stdout)["policies"]["hybrid"]["means"]
    assert not any("characters" in name for name in usual)
    asked = invoke("evaluate", dataset, "--characters", "--compare", "top-k", "--json")
    for policy in json.loads(asked.stdout)["policies"].values():
        found = [policy["means"][f"evidence in {budget} characters"] for budget in (2000, 4000, 8000, 16000)]
        assert found == sorted(found)
        assert found[-1] > 0


def test_an_index_that_is_kept_is_not_made_again(invoke, dataset, folder):
    first = invoke("evaluate", dataset, "--cache", "kept", "--json")
    stores = sorted(path.name for path in (folder / "kept").iterdir())
    second = invoke("evaluate", dataset, "--cache", "kept", "--json")
    means = [json.loads(each.stdout)["policies"]["hybrid"]["means"] for each in (first, second)]
    assert means[0] == means[1]
    assert sorted(path.name for path in (folder / "kept").iterdir()) == stores


def test_a_plot_is_a_picture(invoke, dataset, folder):
    result = invoke("evaluate", dataset, "--plot", "recall.png")
    assert result.exit_code == 0, result.output
    assert (folder / "recall.png").read_bytes().startswith(b"\x89PNG")


def test_a_reranker_is_measured_beside_the_usual_policy(invoke, dataset, folder):
    save_tiny_cross_encoder(folder / "cross")
    result = invoke("evaluate", dataset, "--reranker", "cross", "--offline")
    assert result.exit_code == 0, result.output
    _, header, *rows = result.stdout.splitlines()
    assert header.split() == ["measure", "hybrid", "reranked"]
    assert any(row.startswith("reranked: ") for row in rows)

    named = ("--compare", "dense+reranked", "--json")
    document = json.loads(invoke("evaluate", dataset, "--reranker", "cross", *named).stdout)
    assert set(document["policies"]) == {"hybrid", "dense+reranked"}


def test_a_policy_that_wants_a_reranker_is_refused_before_anything_is_indexed(invoke, dataset):
    result = invoke("evaluate", dataset, "--compare", "dense+reranked")
    assert result.exit_code == 2
    assert "`dense+reranked` wants a reranker" in result.stderr
    assert "--reranker" in result.stderr
    assert "chunks" not in result.stderr


def test_a_wrong_policy_is_a_usage_error_with_a_hint(invoke, dataset):
    result = invoke("evaluate", dataset, "--compare", "sparse")
    assert result.exit_code == 2
    assert "`sparse` is unknown" in result.stderr
    assert "hybrid, dense, lexical" in result.stderr
