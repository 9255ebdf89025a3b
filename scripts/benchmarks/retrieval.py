"""Evidence that retrieval finds: recall, precision and IoU of k chunks, recall under budgets, rankings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.output import ProgressLine, print_machine, write_json_file
from ragstack.cli import console
from ragstack.cli.progress import ingest_progress
from ragstack.cli.tables import columns
from ragstack.evaluation.bootstrap import bootstrap_mean
from ragstack.evaluation.characters import CHARACTER_BUDGETS
from ragstack.evaluation.corpus import IndexedCorpus, Indexing, open_corpus
from ragstack.evaluation.datasets import Half, load_dataset
from ragstack.evaluation.machine import describe_machine
from ragstack.evaluation.retrieval import TOP_K, Measures, RetrievalRun, evaluate_retrieval


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("dataset", type=Path, help="folder with spans of evidence, or BEIR layout")
    parser.add_argument("--top-k", type=_positive, default=TOP_K, help="chunks that count as retrieved")
    parser.add_argument("--chunk-size", type=_positive, help="tokens of a chunk")
    parser.add_argument("--overlap", type=int, help="tokens that neighbouring chunks share")
    parser.add_argument("--model", help="embedding model, by name or directory")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument("--limit", type=_positive, help="ask only the first questions")
    parser.add_argument(
        "--half", type=Half, choices=list(Half), default=Half.ALL, help="questions to tune or to report on"
    )
    parser.add_argument("--split", help="which judgements of a BEIR data set: qrels/SPLIT.tsv")
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep the stores here for the next run")
    parser.add_argument("--budget-characters", type=_numbers, default=CHARACTER_BUDGETS, metavar="N,N,...")
    parser.add_argument("--budget-tokens", type=_numbers, default=(), metavar="N,N,...")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every question's scores as JSON")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(",") if part.strip())


def run(arguments: argparse.Namespace) -> None:
    """Ingest, ask every question, print the table."""
    dataset = load_dataset(arguments.dataset, split=arguments.split)
    dataset = dataset.half(arguments.half).first(arguments.limit)
    indexing = Indexing(arguments.model, arguments.chunk_size, arguments.overlap, arguments.offline)
    measures = Measures(arguments.top_k, arguments.budget_characters, arguments.budget_tokens)
    with (
        ingest_progress(quiet=False) as observer,
        open_corpus(
            dataset, indexing, cache=arguments.store, observer=observer, announce=console.note
        ) as corpus,
    ):
        _print_corpus(corpus, arguments.half)
        measured = evaluate_retrieval(corpus, measures, progress=ProgressLine("asked"))
        _print_scores(measured, measures)
        if arguments.json:
            _write_json(arguments, corpus, measured)


def _print_corpus(corpus: IndexedCorpus, half: Half) -> None:
    machine = describe_machine()
    print_machine(machine)
    settings, report = corpus.settings, corpus.report
    console.write(
        f"{corpus.dataset.name}, half: {half}, {len(corpus.dataset.questions):,} questions;"
        f" {len(corpus.document_ids):,} documents in {corpus.chunks:,} chunks"
        f" of {settings.size} tokens, overlap {settings.overlap}"
    )
    console.write(f"ingest: {report.seconds:.1f} s, {report.embedded:,} chunks embedded")


def _print_scores(measured: RetrievalRun, measures: Measures) -> None:
    if not measured.rows:
        console.write("none of the questions has gold to measure by")
        return
    rows = [["measure", "mean %", "95 % interval", "questions"]]
    for name in measured.names:
        values = measured.values(name)
        interval = bootstrap_mean(values)
        bounds = f"{100 * interval.low:.1f} - {100 * interval.high:.1f}"
        rows.append([name, f"{100 * interval.mean:.2f}", bounds, f"{len(values):,}"])
    for line in columns(rows, right=(1, 2, 3)):
        console.write(line)
    seconds = sorted(row.seconds for row in measured.rows)
    median, slow = (1_000 * _quantile(seconds, share) for share in (0.5, 0.95))
    console.write(
        f"{measures.top_k} chunks count as retrieved; a question takes {median:.1f} ms (95 %: {slow:.1f} ms)"
    )
    if measured.left_out:
        console.write(f"{measured.left_out} questions without gold were left out")


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _write_json(arguments: argparse.Namespace, corpus: IndexedCorpus, measured: RetrievalRun) -> None:
    report = corpus.report
    write_json_file(
        arguments.json,
        {
            "benchmark": "retrieval",
            "dataset": corpus.dataset.name,
            "half": arguments.half,
            "top_k": arguments.top_k,
            "model": corpus.system.embedder.fingerprint,
            "chunker": corpus.settings,
            "documents": len(corpus.document_ids),
            "chunks": corpus.chunks,
            "ingest": {"seconds": report.seconds, "embedded": report.embedded},
            "means": measured.means(),
            "questions": measured.rows,
            "left_out": measured.left_out,
            "machine": describe_machine(),
        },
    )
