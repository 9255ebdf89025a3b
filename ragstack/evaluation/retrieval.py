"""Asks every answerable question of a data set and measures what is retrieved, a row of scores a question.

Only retrieval is measured here, chunk by chunk as `RAGSystem.retrieve` returns them; nothing is packed or
answered. Scores are named, so that runs are compared by name and a measure is added in one place.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from ragstack.evaluation.corpus import IndexedCorpus
from ragstack.evaluation.datasets import Question
from ragstack.evaluation.metrics import (
    contains_answer,
    ndcg,
    recall_at,
    recall_within_budget,
    reciprocal_rank,
    repeated_share,
    span_scores,
)
from ragstack.evaluation.paragraphs import Paragraphs
from ragstack.evaluation.spans import Span
from ragstack.records import Hit

TOP_K = 5
"""How many chunks count as retrieved: as in the published results of the Chroma chunking evaluation."""

RANKING_DEPTH = 100
"""Chunks asked for, of which the first `top_k` count as retrieved: enough to fill 16,000 characters with
short overlapping windows, and to rank more than ten documents when several chunks belong to one."""

CUTOFF = 10
"""Depth of nDCG and recall of rankings, BEIR's main one."""

RECALL = "recall"
PRECISION = "precision"
IOU = "iou"
NDCG = f"ndcg@{CUTOFF}"
RECIPROCAL_RANK = "reciprocal rank"
RANKED_RECALL = f"recall@{CUTOFF}"
REPEATED = "repeated tokens"
ANSWER = "answer contained"

_TOKEN = re.compile(r"\w+|[^\w\s]")


def prompt_words(text: str) -> list[str]:
    """Words and marks, in which repetition is counted whatever the reader's tokens are."""
    return _TOKEN.findall(text)


def budget_measure(budget: int, unit: str) -> str:
    """The name of evidence recall under a budget of so many `characters` or `tokens`."""
    return f"recall in {budget} {unit}"


@dataclass(frozen=True, slots=True)
class Measures:
    """What is measured: chunks that count as retrieved, and budgets for evidence recall.

    Budgets are distinct characters, and tokens of the embedder.
    """

    top_k: int = TOP_K
    character_budgets: tuple[int, ...] = ()
    token_budgets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class QuestionScores:
    """The scores of one question by the name of the measure, and how long it took in seconds."""

    id: str
    seconds: float
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RetrievalRun:
    """One row for every question that was asked; questions without gold are only counted."""

    rows: tuple[QuestionScores, ...]
    left_out: int

    @property
    def names(self) -> tuple[str, ...]:
        """The measures that some question has, in the order in which they were taken."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.scores))

    def values(self, name: str) -> list[float]:
        """The values of one measure, for the questions that have it."""
        return [row.scores[name] for row in self.rows if name in row.scores]

    def mean(self, name: str) -> float:
        """The mean of one measure over the questions that have it."""
        return fmean(self.values(name))

    def means(self) -> dict[str, float]:
        """The mean of every measure."""
        return {name: self.mean(name) for name in self.names}


def evaluate_retrieval(
    corpus: IndexedCorpus, measures: Measures, *, progress: Callable[[int, int], None] | None = None
) -> RetrievalRun:
    """Ask every answerable question; `progress` is told how many of how many are done."""
    questions = corpus.dataset.answerable
    judge = Judge(corpus, measures)
    rows = []
    for question in questions:
        rows.append(_ask(judge, question))
        if progress is not None:
            progress(len(rows), len(questions))
    return RetrievalRun(tuple(rows), len(corpus.dataset.questions) - len(questions))


def _ask(judge: Judge, question: Question) -> QuestionScores:
    started = time.perf_counter()
    hits = judge.corpus.system.retrieve(question.text, max(RANKING_DEPTH, judge.measures.top_k))
    seconds = time.perf_counter() - started
    return QuestionScores(question.id, seconds, judge.scores(question, hits))


@dataclass(slots=True)
class Judge:
    """Scores the hits of a question by all the gold that it has; remembers what it has read and counted."""

    corpus: IndexedCorpus
    measures: Measures
    _token_counts: dict[Span, int] = field(default_factory=dict)
    _paragraphs: dict[str, Paragraphs] = field(default_factory=dict)

    def scores(self, question: Question, hits: Sequence[Hit]) -> dict[str, float]:
        """Every measure that the gold of this question allows, by its name."""
        retrieved = hits[: self.measures.top_k]
        scores: dict[str, float] = {}
        if question.evidence:
            scores |= self._span_scores(question, retrieved, hits)
        if question.paragraph is not None:
            scores |= self._paragraph_scores(question.paragraph, hits)
        if question.grades:
            ranking = list(dict.fromkeys(self.corpus.name(hit) for hit in hits))
            scores |= _ranking_scores(ranking, question.grades)
        scores[REPEATED] = repeated_share(prompt_words(hit.text) for hit in retrieved)
        if question.answers:
            texts = [hit.text for hit in retrieved]
            scores[ANSWER] = float(any(contains_answer(texts, answer) for answer in question.answers))
        return scores

    def _span_scores(
        self, question: Question, retrieved: Sequence[Hit], hits: Sequence[Hit]
    ) -> dict[str, float]:
        gold = question.evidence
        found = span_scores([self.corpus.span(hit) for hit in retrieved], gold)
        scores = {RECALL: found.recall, PRECISION: found.precision, IOU: found.iou}
        ranked = [self.corpus.span(hit) for hit in hits]
        for budget in self.measures.character_budgets:
            scores[budget_measure(budget, "characters")] = recall_within_budget(ranked, gold, budget)
        for budget in self.measures.token_budgets:
            scores[budget_measure(budget, "tokens")] = recall_within_budget(
                ranked, gold, budget, self._tokens
            )
        return scores

    def _tokens(self, piece: Span) -> int:
        if piece not in self._token_counts:
            text = self.corpus.text(piece.document)[piece.start : piece.end]
            self._token_counts[piece] = self.corpus.system.embedder.tokenizer.count(text)
        return self._token_counts[piece]

    def _paragraph_scores(self, gold: Span, hits: Sequence[Hit]) -> dict[str, float]:
        chunks = (self.corpus.span(hit) for hit in hits)
        found = (each for chunk in chunks for each in self._paragraphs_of(chunk.document).of_chunk(chunk))
        return _ranking_scores([str(each) for each in dict.fromkeys(found)], {str(gold): 1})

    def _paragraphs_of(self, document: str) -> Paragraphs:
        if document not in self._paragraphs:
            golds = [each.paragraph for each in self.corpus.dataset.questions if each.paragraph]
            text = self.corpus.text(document)
            self._paragraphs[document] = Paragraphs.of_document(document, text, golds)
        return self._paragraphs[document]


def _ranking_scores(ranking: Sequence[str], grades: Mapping[str, int]) -> dict[str, float]:
    return {
        NDCG: ndcg(ranking, grades, CUTOFF),
        RECIPROCAL_RANK: reciprocal_rank(ranking, grades),
        RANKED_RECALL: recall_at(ranking, grades, CUTOFF),
    }
