"""nDCG, reciprocal rank and recall at k, held against what trec_eval computes (make_trec_eval_golden.py)."""

import json
import math
from pathlib import Path

import pytest

from ragstack.evaluation.metrics import ndcg, recall_at, reciprocal_rank

GOLDEN = [
    json.loads(line) for line in Path(__file__).with_name("trec_eval_golden.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("case", GOLDEN, ids=range(len(GOLDEN)))
def test_measures_of_rankings_are_those_of_trec_eval(case):
    ranking, grades = case["ranking"], case["grades"]

    measured = {
        "ndcg_cut_5": ndcg(ranking, grades, 5),
        "ndcg_cut_10": ndcg(ranking, grades, 10),
        "recip_rank": reciprocal_rank(ranking, grades),
        "recall_5": recall_at(ranking, grades, 5),
        "recall_10": recall_at(ranking, grades, 10),
    }

    assert measured == pytest.approx(case["expected"], abs=1e-12)


def test_one_relevant_item_at_rank_three_has_half_of_the_ideal_gain():
    assert ndcg(["x", "y", "gold"], {"gold": 1}, 10) == pytest.approx(1 / math.log2(4))


def test_what_lies_below_the_cutoff_counts_for_nothing():
    ranking = [f"d{rank}" for rank in range(1, 20)]

    assert ndcg(ranking, {"d11": 1}, 10) == 0.0
    assert recall_at(ranking, {"d10": 1, "d11": 1}, 10) == 0.5
    assert reciprocal_rank(ranking, {"d11": 1}) == 1 / 11
