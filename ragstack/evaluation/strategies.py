"""Compares the context strategies on a data set: what evidence each reads, and what reading it costs a model.

Every answerable question is asked once by each strategy, of the same store and under the same budget. Recall
is of exact gold spans, in characters; tokens are counted, bytes and seconds come from the complexity model,
and only the wall time is this machine's. Nothing here prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from ragstack.context.architectures.description import Architecture
from ragstack.context.deployment import Deployment
from ragstack.context.solver import PrefillTime
from ragstack.errors import UsageError
from ragstack.evaluation.corpus import IndexedCorpus
from ragstack.evaluation.datasets import Question
from ragstack.evaluation.metrics import span_recall
from ragstack.evaluation.spans import Span
from ragstack.records import DocumentSpan, Reading, ReadingCost
from ragstack.strategies.costs import reading_cost
from ragstack.strategies.strategy import StrategyName


@dataclass(frozen=True)
class ComparedModel:
    """The language model whose costs are counted, although none has to run. Is a `CostModel`.

    `prefill` says how long it takes to read a prompt. `reserve` tokens of answer are in its memory too.
    """

    architecture: Architecture
    deployment: Deployment
    prefill: PrefillTime
    reserve: int = 512


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """One question asked by one strategy.

    `prompts` are the tokens of each prompt that was read, from which the costs of any other model follow.
    `recall_read` is the share of the gold evidence that stood in any prompt, `recall` in the last one, which
    was answered; `cited` is whether the answer cites any of it. `seconds` is the time that the answer took.
    """

    strategy: str
    question: str
    prompts: tuple[int, ...]
    recall_read: float
    recall: float
    cited: bool
    seconds: float
    cost: ReadingCost


@dataclass(frozen=True, slots=True)
class StrategyMeans:
    """The means of one strategy over the questions, and the largest memory of any.

    Bytes and seconds are None without a model.
    """

    strategy: str
    questions: int
    recall_read: float
    recall: float
    cited: float
    prompts: float
    tokens_read: float
    cache_bytes: float | None
    peak_bytes_upper: int | None
    prefill_seconds: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class StrategyComparison:
    """All rows, strategy by strategy, under a window of so many tokens of the reader."""

    window: int
    rows: tuple[StrategyRow, ...]

    def means(self) -> list[StrategyMeans]:
        """One line a strategy, in the order in which they were asked."""
        names = dict.fromkeys(row.strategy for row in self.rows)
        return [_means(name, [row for row in self.rows if row.strategy == name]) for name in names]


def compare_strategies(
    corpus: IndexedCorpus,
    *,
    window: int,
    model: ComparedModel | None = None,
    strategies: Sequence[str] = tuple(StrategyName),
    progress: Callable[[int, int], None] | None = None,
) -> StrategyComparison:
    """Ask every question that has gold spans by every strategy, with a reader's window of so many tokens.

    Answers are extractive, so that every strategy is judged by the same reader; `model` adds what the prompts
    would cost a language model. `progress` is told how many of how many are done. Raises UsageError for a
    data set without gold spans.
    """
    questions = [question for question in corpus.dataset.questions if question.evidence]
    if not questions:
        raise UsageError(f"`{corpus.dataset.folder}` has no questions with spans of evidence")
    rows: list[StrategyRow] = []
    for strategy in strategies:
        for question in questions:
            rows.append(_ask(corpus, question, strategy, window, model))
            if progress is not None:
                progress(len(rows), len(strategies) * len(questions))
    return StrategyComparison(window, tuple(rows))


def _ask(
    corpus: IndexedCorpus, question: Question, strategy: str, window: int, model: ComparedModel | None
) -> StrategyRow:
    started = time.perf_counter()
    answer = corpus.system.ask(question.text, window=window, strategy=strategy)
    seconds = time.perf_counter() - started
    assert answer.reading is not None
    cited = [DocumentSpan(each.passage.document_id, each.passage.path, each.start, each.end)
             for each in answer.citations]  # fmt: skip
    gold = question.evidence
    return StrategyRow(
        strategy=strategy,
        question=question.id,
        prompts=tuple(each.prompt_tokens for each in answer.reading.passes),
        recall_read=evidence_recall(corpus, answer.reading, gold),
        recall=span_recall(_spans(corpus, answer.reading.passes[-1].spans), gold),
        cited=span_recall(_spans(corpus, cited), gold) > 0,
        seconds=seconds,
        cost=_cost(answer.reading, model),
    )


def evidence_recall(corpus: IndexedCorpus, reading: Reading, gold: Sequence[Span]) -> float:
    """The share of the gold characters that stood in some prompt of a reading, summaries not counted."""
    return span_recall(_spans(corpus, (span for each in reading.passes for span in each.spans)), gold)


def _spans(corpus: IndexedCorpus, spans: Iterable[DocumentSpan]) -> list[Span]:
    return [corpus.span_in(each.path, each.start, each.end) for each in spans]


def _cost(reading: Reading, model: ComparedModel | None) -> ReadingCost:
    if model is None:
        return reading_cost(reading)
    return reading_cost(reading, model, reserve=model.reserve)


def _means(name: str, rows: Sequence[StrategyRow]) -> StrategyMeans:
    peaks = [row.cost.peak_bytes_upper for row in rows if row.cost.peak_bytes_upper is not None]
    return StrategyMeans(
        strategy=name,
        questions=len(rows),
        recall_read=fmean(row.recall_read for row in rows),
        recall=fmean(row.recall for row in rows),
        cited=fmean(row.cited for row in rows),
        prompts=fmean(row.cost.prompts for row in rows),
        tokens_read=fmean(row.cost.tokens_read for row in rows),
        cache_bytes=_mean_known(row.cost.cache_bytes for row in rows),
        peak_bytes_upper=max(peaks, default=None),
        prefill_seconds=_mean_known(row.cost.prefill_seconds for row in rows),
        seconds=fmean(row.seconds for row in rows),
    )


def _mean_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
