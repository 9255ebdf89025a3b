"""Writes trec_eval_golden.jsonl: rankings, judgements, and what trec_eval's own code says of them.

Run with pytrec-eval-terrier 0.5.11 installed (it is no dependency of ragstack):

    pip install pytrec-eval-terrier==0.5.11
    python tests/evaluation/make_trec_eval_golden.py
"""

import json
import random
from pathlib import Path

import pytrec_eval

GOLDEN = Path(__file__).with_name("trec_eval_golden.jsonl")
MEASURES = ("ndcg_cut_5", "ndcg_cut_10", "recip_rank", "recall_5", "recall_10")


def main():
    generator = random.Random(7)
    cases = [random_case(generator, unfound=number % 3 == 0) for number in range(8)]
    cases.append((["d1", "d2"], {"d1": 0, "d2": 0}))
    cases.append((["d1", "d2"], {"d3": 1}))
    judgements = {str(number): grades for number, (_, grades) in enumerate(cases)}
    # trec_eval orders by score and breaks ties by name, so that a ranking is given as falling scores.
    run = {
        str(number): {name: float(len(ranking) - place) for place, name in enumerate(ranking)}
        for number, (ranking, _) in enumerate(cases)
    }
    evaluator = pytrec_eval.RelevanceEvaluator(judgements, {"ndcg_cut.5,10", "recip_rank", "recall.5,10"})
    results = evaluator.evaluate(run)
    lines = [
        json.dumps(
            {"ranking": ranking, "grades": grades, "expected": {m: results[str(number)][m] for m in MEASURES}}
        )
        for number, (ranking, grades) in enumerate(cases)
    ]
    GOLDEN.write_text("\n".join(lines) + "\n")


def random_case(generator, *, unfound):
    names = [f"d{number}" for number in range(generator.choice([3, 8, 15, 30]))]
    generator.shuffle(names)
    ranking = names[: generator.randint(1, len(names))]
    judged = generator.sample(names, min(len(names), generator.choice([1, 3, 6])))
    if unfound:
        judged.append("unfound")
    return ranking, {name: generator.choice([0, 1, 1, 2, 3]) for name in judged}


if __name__ == "__main__":
    main()
