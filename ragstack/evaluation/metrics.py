"""The measures: of retrieved spans, of spans under a budget, of rankings, of repetition, of answers.

Pure functions on what was found and what is right; none knows how it was found. All are fractions between
0 and 1 for one question; means are taken by who has the questions.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragstack.evaluation.spans import Span, merged, remainder, shared_length, total_length

REPEATED_RUN = 8
"""Tokens in a row that must have occurred before to count as repeated; set phrases are shorter."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


# --------------------------------------------------------------------------- retrieved spans


@dataclass(frozen=True, slots=True)
class SpanScores:
    """How well retrieved chunks C cover the gold spans G of one question, counted in characters.

    recall = |union of C and G's intersections| / |G|, precision = the same over the sum of |c| (characters in
    two chunks are charged twice), IoU = the same over that sum and the gold that no chunk covers. Source: the
    Chroma chunking evaluation (Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval", 2024).
    """

    recall: float
    precision: float
    iou: float


def span_scores(retrieved: Sequence[Span], gold: Sequence[Span]) -> SpanScores:
    """Recall, precision and IoU of one question. ValueError if there is no gold to be found."""
    gold_length = _gold_length(gold)
    covered = shared_length(retrieved, gold)
    charged = total_length(retrieved)
    return SpanScores(
        recall=covered / gold_length,
        precision=covered / charged if charged else 0.0,
        iou=covered / (charged + gold_length - covered),
    )


def span_recall(retrieved: Sequence[Span], gold: Sequence[Span]) -> float:
    """The share of the gold characters that the spans cover. ValueError if there is no gold."""
    return shared_length(retrieved, gold) / _gold_length(gold)


def _gold_length(gold: Sequence[Span]) -> int:
    length = total_length(merged(gold))
    if not length:
        raise ValueError("a question without gold spans has no recall")
    return length


# ------------------------------------------------------------------------------ under a budget


def spend(ranked: Iterable[Span], budget: int, cost: Callable[[Span], int]) -> list[Span]:
    """The spans, best first, that fit a budget: each pays only for characters that none before it holds.

    A span that does not fit is skipped, and smaller ones behind it may still fit. `cost` prices a piece of
    text (`characters` counts it; a tokenizer may as well). A span that adds nothing is left out.
    """
    taken: list[Span] = []
    left = budget
    for span in ranked:
        price = sum(cost(piece) for piece in remainder(span, taken))
        if 0 < price <= left:
            taken.append(span)
            left -= price
    return taken


def characters(piece: Span) -> int:
    """The cost of a piece of text when the budget is counted in characters."""
    return piece.length


def recall_within_budget(
    ranked: Iterable[Span], gold: Sequence[Span], budget: int, cost: Callable[[Span], int] = characters
) -> float:
    """Evidence recall of what `spend` takes. ValueError if there is no gold to be found."""
    return span_recall(spend(ranked, budget, cost), gold)


# ------------------------------------------------------------------------------------ rankings


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], depth: int) -> float:
    """Normalised discounted cumulative gain of the first `depth`, as trec_eval's `ndcg_cut`.

    DCG = sum of grade / log2(rank + 1) with linear gain (Jarvelin and Kekalainen, TOIS 2002), divided by that
    of the ideal order of everything judged; 0 when nothing is relevant.
    """
    ideal = _discounted_gain(sorted(grades.values(), reverse=True)[:depth])
    found = _discounted_gain([grades.get(name, 0) for name in ranking[:depth]])
    return found / ideal if ideal else 0.0


def _discounted_gain(grades: Sequence[int]) -> float:
    return sum(max(grade, 0) / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, int]) -> float:
    """1 / rank of the first relevant item (grade above 0), 0 when there is none. Its mean is MRR."""
    ranks = (rank for rank, name in enumerate(ranking, start=1) if grades.get(name, 0) > 0)
    return 1 / next(ranks, math.inf)


def recall_at(ranking: Sequence[str], grades: Mapping[str, int], depth: int) -> float:
    """The share of the relevant items (grade above 0) among the first `depth`, 0 when nothing is relevant."""
    relevant = {name for name, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:depth])) / len(relevant) if relevant else 0.0


# ------------------------------------------------------------------- repetition and answers


def repeated_share(texts: Iterable[Sequence[str]], run: int = REPEATED_RUN) -> float:
    """The share of the tokens of a prompt that repeats what stands before it in the prompt.

    Each text is its tokens. A token is repeated when it lies in a run of `run` tokens that has occurred
    already, in an earlier text or earlier in its own: overlapping windows, copies, boilerplate.
    """
    seen: set[tuple[str, ...]] = set()
    repeated = total = 0
    for tokens in texts:
        total += len(tokens)
        covered_until = 0
        for start in range(len(tokens) - run + 1):
            gram = tuple(tokens[start : start + run])
            if gram in seen:
                repeated += start + run - max(start, covered_until)
                covered_until = start + run
            seen.add(gram)
    return repeated / total if total else 0.0


def contains_answer(texts: Iterable[str], answer: str) -> bool:
    """Whether some text holds the answer as whole words, both normalised as SQuAD's evaluation does.

    That is: lower case, without punctuation and the articles `a`, `an`, `the`, blanks collapsed (Rajpurkar et
    al., arXiv:1606.05250). An answer that is nothing but those is looked for as it stands, but for case.
    """
    normalise = normalised_answer if normalised_answer(answer) else _lower_words
    wanted = normalise(answer)
    return bool(wanted) and any(f" {wanted} " in f" {normalise(text)} " for text in texts)


def normalised_answer(text: str) -> str:
    """Text without what SQuAD's evaluation ignores: case, punctuation, articles, extra blanks."""
    return _lower_words(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)))


def _lower_words(text: str) -> str:
    return " ".join(text.lower().split())
