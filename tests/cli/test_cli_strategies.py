"""`ragstack ask --strategy`: what it reads, what it prints of it, and what it refuses."""

from __future__ import annotations

import json

import pytest

QUESTION = "How long is the notice period?"


@pytest.mark.parametrize("strategy", ["rag", "full", "sliding", "hierarchical"])
def test_every_strategy_says_what_it_read(run, strategy):
    result = run("ask", QUESTION, "--strategy", strategy, "-v", "--json")
    document = json.loads(result.stdout)
    assert document["reading"]["strategy"] == strategy
    assert document["cost"]["tokens_read"] == sum(
        each["prompt_tokens"] for each in document["reading"]["passes"]
    )
    tokens = f"{document['cost']['tokens_read']:,} tokens read"
    assert f"strategy {strategy}: 1 prompt, {tokens}" in result.stderr


def test_full_context_warns_of_what_did_not_fit_and_lists_it(run):
    result = run("ask", QUESTION, "--strategy", "full", "--window", "30", "--explain")
    assert "of 3 documents did not fit" in result.stderr
    assert "Did not fit" in result.stdout
    assert "travel.txt" in result.stdout
    assert "Passages considered" not in result.stdout


def test_the_filter_selects_what_is_read(run):
    result = run("ask", QUESTION, "--strategy", "full", "--filter", "leave.md", "--json")
    document = json.loads(result.stdout)
    assert document["reading"]["documents"] == 1
    assert {passage["path"] for passage in document["passages"]} <= {"leave.md"}


def test_a_reader_adds_memory_to_the_explanation(run):
    result = run(
        "ask", QUESTION, "--strategy", "sliding", "--reader", "Llama-3.1-8B", "--memory", "40GB", "--explain"
    )
    assert "key-value cache" in result.stdout
    assert "peak memory, at most" in result.stdout


def test_without_a_reader_the_explanation_says_that_there_is_no_term(run):
    result = run("ask", QUESTION, "--strategy", "sliding", "--explain")
    assert "no language model reads the prompts" in result.stdout


def test_nothing_found_in_text_that_was_read_is_not_called_an_empty_store(run):
    result = run("ask", "Which zebra?", "--strategy", "full")
    assert result.exit_code == 1
    assert "the store is empty" not in result.stderr
    assert "ask in other words" in result.stderr


def test_an_unknown_strategy_is_wrong_usage(run):
    result = run("ask", QUESTION, "--strategy", "everything")
    assert result.exit_code == 2
    assert "'hierarchical'" in result.stderr
