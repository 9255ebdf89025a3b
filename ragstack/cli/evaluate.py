"""`ragstack evaluate`: how well a data set's evidence is found and packed, and how policies compare."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragstack.cli import console
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.progress import ingest_progress
from ragstack.cli.tables import columns
from ragstack.errors import UsageError

if TYPE_CHECKING:
    from ragstack.evaluation.bootstrap import Interval
    from ragstack.evaluation.corpus import IndexedCorpus
    from ragstack.evaluation.datasets import Dataset
    from ragstack.evaluation.policies import Abstention, Policy
    from ragstack.evaluation.retrieval import RetrievalRun
    from ragstack.records import ChunkerSettings, Reranker

DEFAULT_POLICY = "hybrid"

_EVERY_SECONDS = 1.0


@click.command(
    epilog=examples(
        "ragstack evaluate my-questions",
        "ragstack evaluate my-questions --compare dense --compare top-k --compare 128/64",
        "ragstack evaluate my-questions --reranker cross-encoder/ms-marco-MiniLM-L6-v2",
        "ragstack evaluate beir/scifact --half report --json",
    )
)
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--compare",
    "compared",
    multiple=True,
    metavar="POLICY",
    help="Measure this policy too, against the first: words joined by `+` of hybrid, dense, lexical;"
    " reranked; packed, fill, top-k; and a chunk size like 128/64. Repeatable.",
)
@click.option(
    "--half",
    type=click.Choice(["tune", "report", "all"]),
    default="all",
    show_default=True,
    help="Ask only the half of the questions to choose settings by, or the half to report.",
)
@click.option("--split", help="The judgements of a BEIR data set: qrels/SPLIT.tsv.")
@click.option("--limit", type=click.IntRange(min=1), help="Ask only the first questions.")
@click.option("--abstention", is_flag=True, help="Also ask for answers, and count what is refused.")
@click.option(
    "--characters",
    is_flag=True,
    help="Also evidence in 2,000 to 16,000 distinct characters, as published results have it.",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the indexes here, so that another run or policy does not embed again.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw evidence recall over prompt tokens.",
)
@setting_options("top_k", "reranker")
@json_option
@setting_options("model", "offline")
def evaluate(
    dataset: Path,
    compared: Sequence[str],
    half: str,
    split: str | None,
    limit: int | None,
    abstention: bool,
    characters: bool,
    cache: Path | None,
    plot: Path | None,
) -> None:
    """Measure retrieval and packing on DATASET.

    DATASET is a folder with `documents/` and `questions.jsonl` (spans of evidence), or in BEIR's layout. The
    usual policy is hybrid search with budgeted packing; `--compare` sets others beside it, with 95 %
    intervals of the difference over the same questions; with `--reranker` also the usual policy with its best
    hits reranked. Nothing of a store of yours is read or changed.
    """
    from ragstack.evaluation.datasets import Half, load_dataset

    data = load_dataset(dataset, split=split).half(Half(half)).first(limit)
    session = _Evaluation(data, cache, abstention, characters)
    session.run(session.policies(compared))
    if wants_json():
        console.write_json(session.document(half))
    else:
        console.write(session.page(half))
    if plot is not None:
        _draw(plot, session.runs)


class _Evaluation:
    """The runs of some policies on one data set, and how they are shown."""

    def __init__(self, dataset: Dataset, cache: Path | None, abstention: bool, characters: bool) -> None:
        settings = read_settings()
        self.dataset = dataset
        self.cache = cache
        self.asks_for_answers = abstention
        self.counts_characters = characters
        self.model = settings.model.value
        self.offline = settings.offline.value
        self.top_k = settings.top_k.value
        self.reranker_name = settings.reranker.value
        self.runs: dict[str, RetrievalRun] = {}
        self.chunkers: dict[str, ChunkerSettings] = {}
        self.chunks: dict[str, int] = {}
        self.abstention: Abstention | None = None

    def policies(self, compared: Sequence[str]) -> dict[str, Policy]:
        """The usual policy, those compared with it, and with a reranker one that uses it, by name."""
        from ragstack.evaluation.policies import RERANKED, Policy

        policies = {name: Policy.parsed(name) for name in dict.fromkeys([DEFAULT_POLICY, *compared])}
        wanting = [name for name, policy in policies.items() if policy.reranked]
        if wanting and self.reranker_name is None:
            raise UsageError(
                f"the policy `{wanting[0]}` wants a reranker, and none is named",
                hint="name it with `--reranker`",
            )
        if self.reranker_name is not None and not wanting:
            policies[RERANKED] = Policy.parsed(RERANKED)
        return policies

    @cached_property
    def reranker(self) -> Reranker | None:
        """The model that policies with `reranked` use, opened once for all of them."""
        if self.reranker_name is None:
            return None
        from ragstack.embedding.cross_encoder import CrossEncoderReranker

        return CrossEncoderReranker(self.reranker_name, offline=self.offline, announce=console.note)

    def run(self, policies: dict[str, Policy]) -> None:
        """Measure every policy; those with the same chunks use one index."""
        from ragstack.evaluation.characters import CHARACTER_BUDGETS
        from ragstack.evaluation.policies import evaluate_abstention, evaluate_policy
        from ragstack.evaluation.retrieval import TOP_K

        reranker = self.reranker
        for chunks in dict.fromkeys(policy.chunks for policy in policies.values()):
            with self._corpus(chunks) as corpus:
                for name, policy in policies.items():
                    if policy.chunks == chunks:
                        self.chunkers[name], self.chunks[name] = corpus.settings, corpus.chunks
                        self.runs[name] = evaluate_policy(
                            corpus,
                            policy,
                            top_k=self.top_k or TOP_K,
                            characters=CHARACTER_BUDGETS if self.counts_characters else (),
                            reranker=reranker,
                            progress=_Progress(name),
                        )
                if self.asks_for_answers and chunks is None:
                    self.abstention = evaluate_abstention(corpus, progress=_Progress("answers"))
        self.runs = {name: self.runs[name] for name in policies}

    @contextmanager
    def _corpus(self, chunks: tuple[int, int] | None) -> Iterator[IndexedCorpus]:
        from ragstack.evaluation.corpus import Indexing, open_corpus

        size, overlap = chunks or (None, None)
        indexing = Indexing(self.model, size, overlap, self.offline)
        with (
            ingest_progress(quiet=False) as observer,
            open_corpus(
                self.dataset, indexing, cache=self.cache, observer=observer, announce=console.note
            ) as corpus,
        ):
            yield corpus

    def page(self, half: str) -> str:
        """A table of a line a measure, a column a policy, and what differs from the first beyond chance."""
        usual, *others = self.runs
        if not self.runs[usual].rows:
            return "none of the questions has gold to measure by"
        rows = [["measure", *self.runs]]
        for name in self.runs[usual].names:
            cells = [_shown(name, self.runs[usual].mean(name))]
            cells += [_against(self, usual, other, name) for other in others]
            rows.append([name, *cells])
        asked = len(self.runs[usual].rows)
        lines = [f"{self.dataset.name}, half: {half}; {asked:,} questions with evidence, shares in %"]
        lines += columns(rows, right=range(1, len(rows[0])))
        lines += [
            _place(name, self.chunkers[name], self.chunks[name], run) for name, run in self.runs.items()
        ]
        if others:
            lines.append("* differs from the first policy: the paired 95 % bootstrap interval excludes 0")
        if self.abstention is not None:
            lines.append(_refusals(self.abstention))
        return "\n".join(lines)

    def document(self, half: str) -> dict[str, object]:
        """All means, differences and single scores."""
        from ragstack.evaluation.machine import describe_machine

        usual, *others = self.runs
        return {
            "dataset": self.dataset.name,
            "half": half,
            "policies": {
                name: {
                    "chunker": self.chunkers[name],
                    "chunks": self.chunks[name],
                    "means": run.means(),
                    "questions": run.rows,
                    "left_out": run.left_out,
                }
                for name, run in self.runs.items()
            },
            "differences": {
                other: {
                    name: self.difference(other, usual, name)
                    for name in self.runs[usual].names
                    if name in self.runs[other].names
                }
                for other in others
            },
            "abstention": self.abstention,
            "machine": describe_machine(),
        }

    def difference(self, name: str, other: str, measure: str) -> Interval:
        """By how much a policy is above another."""
        from ragstack.evaluation.policies import difference

        return difference(self.runs[name], self.runs[other], measure)


def _against(evaluation: _Evaluation, usual: str, other: str, measure: str) -> str:
    """A mean and how far it lies from the first policy's, marked where that is not by chance."""
    if measure not in evaluation.runs[other].names:
        return ""
    interval = evaluation.difference(other, usual, measure)
    scale = 1 if measure.startswith("tokens") else 100
    mark = "*" if interval.excludes_zero else " "
    bounds = f"{scale * interval.low:+.1f} to {scale * interval.high:+.1f}"
    return f"{_shown(measure, evaluation.runs[other].mean(measure))} ({bounds}){mark}"


def _shown(measure: str, mean: float) -> str:
    return f"{mean:,.0f}" if measure.startswith("tokens") else f"{100 * mean:.2f}"


def _place(name: str, chunker: ChunkerSettings, chunks: int, run: RetrievalRun) -> str:
    seconds = sorted(row.seconds for row in run.rows)
    median = 1_000 * seconds[len(seconds) // 2]
    return (
        f"{name}: {chunks:,} chunks of {chunker.size} tokens, overlap {chunker.overlap};"
        f" a search takes {median:.1f} ms"
    )


def _refusals(abstention: Abstention) -> str:
    precision = "-" if abstention.precision is None else f"{100 * abstention.precision:.1f} %"
    recall = "-" if abstention.recall is None else f"{100 * abstention.recall:.1f} %"
    return (
        f"answered {abstention.answered:,} of {abstention.answerable:,} answerable questions, refused"
        f" {abstention.refused:,} of {abstention.unanswerable:,} others"
        f" (refusals: precision {precision}, recall {recall})"
    )


class _Progress:
    """How many questions are done, on a terminal's stderr, about once a second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        present = time.monotonic()
        if not sys.stderr.isatty() or (done < total and present - self._shown < _EVERY_SECONDS):
            return
        self._shown = present
        click.echo(f"\r{self._what}: {done:,} of {total:,} questions", nl=done == total, err=True)


def _draw(path: Path, runs: dict[str, RetrievalRun]) -> None:
    """Evidence recall over the tokens that were really spent, a line a policy."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from ragstack.evaluation.policies import TOKEN_BUDGETS

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, run in runs.items():
        budgets = [budget for budget in TOKEN_BUDGETS if f"evidence in {budget} tokens" in run.names]
        spent = [run.mean(f"tokens of {budget}") for budget in budgets]
        recall = [100 * run.mean(f"evidence in {budget} tokens") for budget in budgets]
        axes.plot(spent, recall, marker="o", label=name)
    axes.set(xlabel="tokens spent on passages (mean)", ylabel="evidence recall in %")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    console.note(f"wrote `{path}`")
