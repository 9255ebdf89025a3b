"""Policies compared on one data set."""

from __future__ import annotations

import pytest

from ragstack.errors import UsageError
from ragstack.evaluation.datasets import load_dataset
from ragstack.evaluation.policies import (
    Packing,
    Policy,
    Ranking,
    difference,
    evaluate_abstention,
    evaluate_policy,
)


def test_a_policy_is_named_by_its_words():
    assert Policy.parsed("hybrid") == Policy()
    assert Policy.parsed("dense+top-k+128/64") == Policy(Ranking.DENSE, Packing.TOP_K, (128, 64))
    assert Policy.parsed("fill") == Policy(packing=Packing.FILL)
    assert Policy.parsed("lexical+reranked") == Policy(Ranking.LEXICAL, reranked=True)
    with pytest.raises(UsageError, match="`sparse` is unknown"):
        Policy.parsed("dense+sparse")


@pytest.fixture
def corpus(span_folder, indexed):
    with indexed(load_dataset(span_folder())) as opened:
        yield opened


def test_fixed_top_k_spends_the_same_whatever_the_budget(corpus):
    run = evaluate_policy(corpus, Policy.parsed("top-k"), top_k=2, budgets=(5, 100))
    for row in run.rows:
        assert row.scores["tokens of 5"] == row.scores["tokens of 100"]
        assert (
            row.scores["evidence in 5 tokens"] == row.scores["evidence in 100 tokens"] == row.scores["recall"]
        )


@pytest.mark.parametrize("packing", ["packed", "fill"])
def test_packing_and_filling_keep_within_the_budget(corpus, packing):
    run = evaluate_policy(corpus, Policy.parsed(packing), top_k=5, budgets=(20, 60))
    for row in run.rows:
        assert row.scores["tokens of 20"] <= 20
        assert row.scores["tokens of 60"] <= 60
        assert row.scores["evidence in 60 tokens"] >= 0


def test_rankings_differ_in_what_they_look_at(corpus):
    runs = {
        name: evaluate_policy(corpus, Policy.parsed(name), top_k=1, budgets=())
        for name in ("hybrid", "lexical")
    }
    assert runs["hybrid"].names == runs["lexical"].names
    assert [row.id for row in runs["hybrid"].rows] == [row.id for row in runs["lexical"].rows]


class Backwards:
    """Likes best what it is shown last, and counts how often it is asked."""

    note = "backwards"

    def __init__(self):
        self.asked = 0

    def scores(self, question, texts):
        self.asked += 1
        return [float(place) for place in range(len(texts))]


@pytest.mark.parametrize("ranking", ["hybrid", "dense"])
def test_a_reranker_decides_on_the_order_of_the_policies_that_want_it(corpus, ranking):
    reranker = Backwards()
    usual, reordered = (
        evaluate_policy(corpus, Policy.parsed(name), top_k=1, budgets=(), reranker=reranker)
        for name in (ranking, f"{ranking}+reranked")
    )
    assert reranker.asked == len(reordered.rows)
    assert [row.id for row in usual.rows] == [row.id for row in reordered.rows]
    assert reordered.mean("recall") < usual.mean("recall")


def test_a_policy_that_wants_a_reranker_is_refused_without_one(corpus):
    with pytest.raises(UsageError, match="wants a reranker"):
        evaluate_policy(corpus, Policy.parsed("reranked"), top_k=1)


def test_a_run_does_not_differ_from_itself(corpus):
    run = evaluate_policy(corpus, Policy(), top_k=5, budgets=(50,))
    interval = difference(run, run, "evidence in 50 tokens")
    assert (interval.low, interval.mean, interval.high) == (0, 0, 0)


def test_abstention_counts_answered_and_refused(corpus):
    counted = evaluate_abstention(corpus)
    assert (counted.answerable, counted.unanswerable) == (2, 1)
    assert 0 <= counted.answered <= 2
    assert 0 <= counted.refused <= 1
    assert counted.recall == counted.refused / counted.unanswerable


def test_a_beir_data_set_has_rankings_only(beir_folder, indexed):
    with indexed(load_dataset(beir_folder())) as opened:
        run = evaluate_policy(opened, Policy(), top_k=5)
    assert "ndcg@10" in run.names
    assert not [name for name in run.names if "tokens" in name and name != "repeated tokens"]


@pytest.mark.parametrize("packing", ["packed", "fill", "top-k"])
def test_evidence_in_characters_grows_with_them(corpus, packing):
    budgets = (40, 120, 4_000)
    run = evaluate_policy(corpus, Policy.parsed(packing), top_k=5, budgets=(), characters=budgets)
    found = [run.mean(f"evidence in {budget} characters") for budget in budgets]
    assert found[0] < found[-1]
    assert found == sorted(found)
    assert found[-1] == pytest.approx(1.0)
