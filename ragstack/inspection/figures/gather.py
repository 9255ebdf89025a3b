"""Which figures there are, and what each needs: runs the measurements, asks the store, and makes the tables.

A figure whose input is missing is not drawn; the reason says how to get it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragstack.inspection.figures.table import Figure

if TYPE_CHECKING:
    from ragstack.context.architectures.description import Architecture
    from ragstack.context.deployment import Deployment
    from ragstack.context.hardware import AvailableMemory
    from ragstack.evaluation.datasets import Dataset
    from ragstack.system import RAGSystem

PASS_LENGTHS = (256, 512, 1_024, 2_048)
"""Prompts of the measured forward passes: the longest takes 0.3 GB, the next ones four times as much each."""

WINDOWS = (1_024, 4_096)
"""Windows under which the context strategies are compared."""

QUESTIONS = 6
"""Questions that the strategies are asked if no number is given: some of them read all text for each."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the figures are to be about.

    `dataset` is a folder with documents and questions, of which `questions` are drawn evenly to compare the
    strategies by; None leaves that figure out. `document_id` is whose windows are drawn, by default the
    document with the most chunks.
    """

    architecture: Architecture
    deployment: Deployment
    memory: AvailableMemory
    question: str | None = None
    dataset: Path | None = None
    questions: int = QUESTIONS
    document_id: int | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """A figure that could not be made, and what it would need."""

    name: str
    reason: str


Maker = Callable[["RAGSystem", Wanted], Figure | str]


def gather(
    system: RAGSystem,
    wanted: Wanted,
    names: Iterable[str] | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[Figure], list[Missing]]:
    """The figures of these names (default: all), in the order of FIGURES, and those that cannot be made."""
    chosen = set(FIGURES if names is None else names)
    figures, missing = [], []
    for name, make in FIGURES.items():
        if name not in chosen:
            continue
        if progress is not None:
            progress(name)
        made = make(system, wanted)
        if isinstance(made, str):
            missing.append(Missing(name, made))
        else:
            figures.append(made)
    return figures, missing


def _memory(_system: RAGSystem, wanted: Wanted) -> Figure:
    from ragstack.inspection.figures.memory import memory_figure
    from ragstack.inspection.forward_passes import TINY_MODELS, measure_passes

    passes = measure_passes(
        {"Llama": TINY_MODELS["Llama"]}, lengths=PASS_LENGTHS, types=("f32",), chunks=(None,)
    )
    return memory_figure(wanted.architecture, wanted.deployment, wanted.memory, passes)


def _patterns(_system: RAGSystem, _wanted: Wanted) -> Figure:
    from ragstack.inspection.figures.patterns import patterns_figure

    return patterns_figure()


def _attention_cost(_system: RAGSystem, _wanted: Wanted) -> Figure:
    from ragstack.inspection.figures.attention_cost import attention_cost_figure

    return attention_cost_figure()


def _scores(system: RAGSystem, wanted: Wanted) -> Figure | str:
    from ragstack.inspection.figures.scores import scores_figure

    if wanted.question is None:
        return "it shows one question: give it with `--question`"
    answer = system.ask(wanted.question)
    return scores_figure(answer) if answer.hits else "nothing in the store fits the question"


def _usage(system: RAGSystem, _wanted: Wanted) -> Figure | str:
    from ragstack.inspection.figures.usage import usage_of_history

    return usage_of_history(system.history) or "nothing was asked yet: run `ragstack ask QUESTION`"


def _budget(_system: RAGSystem, wanted: Wanted) -> Figure | str:
    from ragstack.inspection.figures.budget import budget_figure

    figure = budget_figure(wanted.architecture, wanted.deployment)
    return figure if figure.table.rows else f"{wanted.architecture.name} fits into no common size of memory"


def _windows(system: RAGSystem, wanted: Wanted) -> Figure | str:
    from ragstack.inspection.figures.windows import windows_figure
    from ragstack.inspection.overview import document, documents

    document_id = wanted.document_id
    if document_id is None:
        listed = documents(system)
        if not listed:
            return "the store is empty: run `ragstack ingest FOLDER`"
        document_id = max(listed, key=lambda info: info.chunks).document_id
    return windows_figure(document(system, document_id))


def _embedding_map(system: RAGSystem, _wanted: Wanted) -> Figure | str:
    from ragstack.inspection.figures.embedding_map import embedding_map_figure

    return embedding_map_figure(system) or "the store holds fewer than three chunks"


def _strategies(system: RAGSystem, wanted: Wanted) -> Figure | str:
    """Asks every question of the data set by every strategy, in a store of its own with this embedder."""
    if wanted.dataset is None:
        return "it asks questions whose evidence is known: give a data set with `--dataset`"
    from ragstack.context.hardware import measure_speed
    from ragstack.context.latency import RooflinePrefill
    from ragstack.evaluation.corpus import Indexing, open_corpus
    from ragstack.evaluation.datasets import load_dataset
    from ragstack.evaluation.strategies import ComparedModel, compare_strategies
    from ragstack.inspection.figures.tradeoff import tradeoff_figure

    prefill = RooflinePrefill(wanted.architecture, wanted.deployment, measure_speed())
    model = ComparedModel(wanted.architecture, wanted.deployment, prefill)
    dataset = _evenly_drawn(load_dataset(wanted.dataset), wanted.questions)
    with open_corpus(dataset, Indexing(embedder=system.embedder)) as corpus:
        compared = [compare_strategies(corpus, window=window, model=model) for window in WINDOWS]
    return tradeoff_figure(compared, model=wanted.architecture.name, dataset=dataset.name)


def _evenly_drawn(dataset: Dataset, count: int) -> Dataset:
    answerable = [question for question in dataset.questions if question.evidence]
    step = max(1, len(answerable) // count)
    return replace(dataset, questions=tuple(answerable[::step][:count]))


FIGURES: Mapping[str, Maker] = {
    "memory": _memory,
    "attention-patterns": _patterns,
    "attention-cost": _attention_cost,
    "retrieval-scores": _scores,
    "context-usage": _usage,
    "strategies": _strategies,
    "budget": _budget,
    "embedding-map": _embedding_map,
    "chunk-windows": _windows,
}
"""Every figure by its name, in the order of the sheet."""
