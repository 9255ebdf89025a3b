"""The notebook that ragstack grew from, end to end, with every number measured or computed in this run.

    python examples/seed.py

What attention costs by its pattern, sliding window attention itself, retrieval-augmented generation over a
few documents, and what four ways to fill a context read and cost. An insight is a sentence about the run's
own numbers; change the input, and it changes or turns round. Takes about twenty seconds on two cores.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ragstack import ContextAnalyzer, RAGSystem
from ragstack.context.architectures.lookup import describe_model
from ragstack.context.deployment import Device, deployment_for
from ragstack.context.hardware import measure_speed
from ragstack.context.latency import RooflinePrefill
from ragstack.evaluation.strategies import ComparedModel
from ragstack.records import Filter
from ragstack.strategies.costs import reading_cost

DATA = Path(__file__).resolve().parents[1] / "data"

LENGTHS = (512, 2_048, 8_192, 32_768)
MODEL_SIZE, HEADS, WINDOW = 512, 8, 512

NOTES = {
    "attention": "Attention compares every token with every other, so its operations grow with the square of"
    " the context. A sliding window of 512 tokens makes them grow in proportion to it.",
    "cache": "The key-value cache keeps the keys and values of every token. Grouped heads make it smaller:"
    " eight key-value heads instead of thirty-two need a quarter of the memory.",
    "retrieval": "Retrieval looks for the passages that answer a question and puts only those into the"
    " prompt. The model reads less, and an answer can name its source.",
    "bread": "The sourdough at the corner bakery rests for eighteen hours at four degrees before it bakes.",
}
NOTE_QUESTIONS = {
    "How do the operations of attention grow with the context?": "attention",
    "How do grouped heads change the memory of the key-value cache?": "cache",
    "How long does the sourdough rest?": "bread",
}

STUDIED = ("attention-and-memory.md", "sliding-window-attention.md")
STUDIED_QUESTIONS = 3
PROMPT_WINDOW = 1_024
STRATEGIES = ("full", "sliding", "hierarchical", "rag")
READER = "Llama-3.1-8B"


# ------------------------------------------------------------------ 1. context analysis


@dataclass(frozen=True)
class Analysis:
    """The costs of one layer by length of the context: full attention's and a sliding window's."""

    full: dict[int, dict[str, Any]]
    sliding: dict[int, dict[str, Any]]

    def insights(self) -> Iterator[str]:
        """How full attention and a window grow, and what the notebook's memory is beside the scores."""
        shortest, longest = min(self.full), max(self.full)
        yield (
            f"from {shortest:,} to {longest:,} tokens ({longest / shortest:.0f}x) the pairs of full attention"
            f" grow {self.full[longest]['pairs'] / self.full[shortest]['pairs']:,.0f}x,"
            f" those of the window {self.sliding[longest]['pairs'] / self.sliding[shortest]['pairs']:,.0f}x"
        )
        costs = self.full[longest]
        yield (
            f"at {longest:,} tokens the notebook's `memory_gb` says {costs['memory_gb']:,.0f};"
            f" materialised scores of a layer are {costs['score_bytes'] / 2**30:,.1f} GiB,"
            f" computed in tiles {costs['tile_bytes'] / 2**30:,.2f} GiB"
        )


def analyse_context(lengths: Sequence[int] = LENGTHS) -> Analysis:
    """Ask the analyzer for each length."""
    analyzer = ContextAnalyzer(heads=HEADS)
    return Analysis(
        {n: analyzer.attention_complexity(n, MODEL_SIZE) for n in lengths},
        {
            n: analyzer.attention_complexity(n, MODEL_SIZE, pattern="sliding window", window_size=WINDOW)
            for n in lengths
        },
    )


# ------------------------------------------------------------ 2. sliding window attention


@dataclass(frozen=True)
class WindowRun:
    """One run of sliding window attention: seconds, and the peak of memory that it allocated."""

    tokens: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class WindowFindings:
    """Runs by length, and the largest difference from masked full attention at a length where that fits."""

    runs: tuple[WindowRun, ...]
    compared_tokens: int
    difference: float

    def insights(self) -> Iterator[str]:
        """How time and memory grew, and whether the result is the exact one."""
        first, last = self.runs[0], self.runs[-1]
        yield (
            f"{last.tokens / first.tokens:.0f}x the tokens took {last.seconds / first.seconds:.1f}x the time"
            f" and {last.peak_bytes / first.peak_bytes:.1f}x the memory"
            f" (full attention has {(last.tokens / first.tokens) ** 2:.0f}x the pairs)"
        )
        yield (
            f"at {self.compared_tokens:,} tokens it differs from masked full attention"
            f" by at most {self.difference:.1e}"
        )


def run_sliding_window(lengths: Sequence[int] = (4_096, 16_384), compared: int = 1_024) -> WindowFindings:
    """Run it, time it, watch its memory, and compare it with full attention under the same mask."""
    analyzer = ContextAnalyzer()
    runs = []
    for tokens in lengths:
        x = _hidden_states(tokens)
        analyzer.sliding_window_attention(x, WINDOW)  # the first time warms up
        started = time.perf_counter()
        analyzer.sliding_window_attention(x, WINDOW)
        seconds = time.perf_counter() - started
        peak = _peak(lambda x=x: analyzer.sliding_window_attention(x, WINDOW))
        runs.append(WindowRun(tokens, seconds, peak))
    x = _hidden_states(compared)
    difference = np.abs(analyzer.sliding_window_attention(x, WINDOW) - _masked_attention(x, WINDOW)).max()
    return WindowFindings(tuple(runs), compared, float(difference))


def _hidden_states(tokens: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((tokens, 64)).astype(np.float32)


def _masked_attention(x: np.ndarray, window: int) -> np.ndarray:
    """Full attention with the notebook's mask: all scores at once, those outside of the window removed."""
    place = np.arange(len(x))
    scores = x @ x.T / np.sqrt(x.shape[1])
    scores[np.abs(place[:, None] - place) > window // 2] = -np.inf
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)) @ x


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------- 3. retrieval and generation


@dataclass(frozen=True)
class Asked:
    """A question, the note that should answer it, the note that was found first, and the answer."""

    question: str
    expected: str
    found: str
    score: float
    answer: str


@dataclass(frozen=True)
class Retrieval:
    """All questions that were asked of the notes."""

    asked: tuple[Asked, ...]
    notes: int

    def insights(self) -> Iterator[str]:
        """How many questions found their note first."""
        right = sum(each.found == each.expected for each in self.asked)
        yield f"{right} of {len(self.asked)} questions found their note first among {self.notes}"


def ask_notes(rag: RAGSystem) -> Retrieval:
    """Add the notes as documents, retrieve, and generate an answer from what was retrieved."""
    for name, text in NOTES.items():
        rag.add_document(text, name=name)
    asked = []
    for question, expected in NOTE_QUESTIONS.items():
        best = rag.retrieve(question, top_k=1)[0]
        answer = rag.generate_with_retrieval(question, max_length=160)
        asked.append(Asked(question, expected, best.chunk.path, best.score, answer))
    return Retrieval(tuple(asked), len(NOTES))


# ---------------------------------------------------- 4. memory against what is read


@dataclass(frozen=True)
class StrategyRun:
    """One strategy over all questions: how many had their evidence in the last prompt, and what was read.

    Tokens and both seconds are means of a question: `seconds` of this run, `prefill_seconds` those that the
    reader would need for the prompts. `cache_bytes` is the largest key-value cache of any prompt.
    """

    strategy: str
    questions: int
    with_evidence: int
    tokens: float
    seconds: float
    cache_bytes: int
    prefill_seconds: float


@dataclass(frozen=True)
class TradeOff:
    """The strategies, in the order in which they were run."""

    runs: tuple[StrategyRun, ...]

    def insights(self) -> Iterator[str]:
        """Which read least, which read most, and what each had to show for it."""
        least = min(self.runs, key=lambda run: run.tokens)
        most = max(self.runs, key=lambda run: run.tokens)
        yield (
            f"`{least.strategy}` read {least.tokens:,.0f} tokens a question and had the evidence of"
            f" {least.with_evidence} of {least.questions}; `{most.strategy}` read {most.tokens:,.0f},"
            f" {most.tokens / least.tokens:.1f}x as many, and had that of {most.with_evidence}"
        )
        best = max(run.with_evidence for run in self.runs)
        cheapest = min((run for run in self.runs if run.with_evidence == best), key=lambda run: run.tokens)
        yield (
            f"the most evidence, {best} of {cheapest.questions}, for the fewest tokens: `{cheapest.strategy}`"
        )
        yield (
            f"{READER} on this machine would read the prompts of `{least.strategy}` in"
            f" {least.prefill_seconds:,.0f} s, those of `{most.strategy}` in {most.prefill_seconds:,.0f} s"
        )


def compare_strategies(rag: RAGSystem) -> TradeOff:
    """Ask questions with known evidence of two documents, by every strategy, in prompts of 1,024 tokens."""
    folder = DATA / "documents" / "context"
    rag.ingest([folder / name for name in STUDIED])
    questions = list(_questions_about(STUDIED))[-STUDIED_QUESTIONS:]
    reader = _reader()
    return TradeOff(tuple(_run_strategy(rag, name, questions, reader) for name in STRATEGIES))


def _questions_about(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Questions whose evidence is one quote from one of the documents, with that quote."""
    for line in (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        question = json.loads(line)
        evidence = question["evidence"]
        if len(evidence) == 1 and Path(evidence[0]["document"]).name in names:
            yield question["question"], evidence[0]["quote"]


def _reader() -> ComparedModel:
    """A model that is not run: its architecture and this machine's speed say what its prompts would take."""
    architecture = describe_model(READER).quantised("q4_k_m")
    deployment = deployment_for("llama.cpp", device=Device.CPU)
    return ComparedModel(architecture, deployment, RooflinePrefill(architecture, deployment, measure_speed()))


def _run_strategy(
    rag: RAGSystem, strategy: str, questions: Sequence[tuple[str, str]], reader: ComparedModel
) -> StrategyRun:
    where = Filter(paths=STUDIED)
    started = time.perf_counter()
    answers = [rag.ask(text, strategy=strategy, window=PROMPT_WINDOW, where=where) for text, _ in questions]
    seconds = time.perf_counter() - started
    costs = [reading_cost(answer.reading, reader, reserve=reader.reserve) for answer in answers]
    return StrategyRun(
        strategy=strategy,
        questions=len(questions),
        with_evidence=sum(
            any(quote in passage.text for passage in answer.passages)
            for answer, (_, quote) in zip(answers, questions, strict=True)
        ),
        tokens=sum(cost.tokens_read for cost in costs) / len(questions),
        seconds=seconds / len(questions),
        cache_bytes=max(cost.cache_bytes for cost in costs),
        prefill_seconds=sum(cost.prefill_seconds for cost in costs) / len(questions),
    )


# ------------------------------------------------------------------------------ printing


def print_analysis(found: Analysis) -> None:
    """A line for each length."""
    print(f"{'tokens':>8} {'full: pairs':>16} {'scores, MiB':>12} {'window: pairs':>16} {'scores, MiB':>12}")
    for tokens, full in found.full.items():
        window = found.sliding[tokens]
        print(
            f"{tokens:>8,} {full['pairs']:>16,} {full['score_bytes'] / 2**20:>12,.0f}"
            f" {window['pairs']:>16,} {window['score_bytes'] / 2**20:>12,.0f}"
        )


def print_window(found: WindowFindings) -> None:
    """A line for each run."""
    for run in found.runs:
        print(f"{run.tokens:>8,} tokens: {run.seconds:6.3f} s, {run.peak_bytes / 2**20:6.1f} MiB")


def print_retrieval(found: Retrieval) -> None:
    """Two lines for each question."""
    for each in found.asked:
        print(f"  {each.question}")
        print(f"    {each.found} ({each.score:.2f}): {each.answer}")


def print_trade_off(found: TradeOff) -> None:
    """A line for each strategy."""
    print(f"{'strategy':>13} {'evidence':>9} {'tokens':>8} {'KV, MiB':>8} {'prefill':>9} {'answered':>9}")
    for run in found.runs:
        print(
            f"{run.strategy:>13} {f'{run.with_evidence} of {run.questions}':>9} {run.tokens:>8,.0f}"
            f" {run.cache_bytes / 2**20:>8,.0f} {run.prefill_seconds:>7,.0f} s {run.seconds:>7.2f} s"
        )


def main() -> None:
    """Run the four parts, each with its insights."""
    with RAGSystem() as rag:
        parts = (
            ("What attention costs", analyse_context, print_analysis),
            (f"Sliding window attention, {WINDOW} tokens", run_sliding_window, print_window),
            ("Retrieval-augmented generation", lambda: ask_notes(rag), print_retrieval),
            ("Four ways to fill a context", lambda: compare_strategies(rag), print_trade_off),
        )
        for number, (title, work, show) in enumerate(parts, start=1):
            print(f"{number}. {title}\n")
            found = work()
            show(found)
            print("\nInsights:", *found.insights(), sep="\n  - ", end="\n\n")


if __name__ == "__main__":
    main()
