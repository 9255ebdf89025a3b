"""Evidence that each context strategy reads, beside the tokens, memory and time that reading it costs."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.output import ProgressLine, print_machine, write_json_file
from ragstack.cli import console
from ragstack.cli.progress import ingest_progress
from ragstack.cli.tables import columns
from ragstack.config import DEFAULT_WINDOW
from ragstack.context.architectures.lookup import describe_model
from ragstack.context.deployment import Device, deployment_for
from ragstack.context.gpus import require_gpu
from ragstack.context.hardware import measure_speed
from ragstack.context.latency import RooflinePrefill
from ragstack.evaluation.corpus import Indexing, open_corpus
from ragstack.evaluation.datasets import load_dataset
from ragstack.evaluation.machine import describe_machine
from ragstack.evaluation.strategies import (
    ComparedModel,
    StrategyComparison,
    StrategyMeans,
    compare_strategies,
)
from ragstack.strategies.strategy import StrategyName

HEADER = (
    "strategy", "recall %", "read %", "cites it %", "prompts", "tokens read",
    "KV cache MiB", "memory GiB", "prefill s", "answered s",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("dataset", type=Path, help="folder with spans of evidence")
    parser.add_argument("--reader", default="Llama-3.1-8B", help="model whose costs are counted")
    parser.add_argument("--weights", default="q4_k_m", metavar="TYPE", help="type of its weights")
    parser.add_argument("--engine", default="llama.cpp", help="engine that would run it")
    parser.add_argument("--gpu", help="published GPU that would run it, in place of this machine")
    parser.add_argument("--window", type=int, default=DEFAULT_WINDOW, help="tokens of one prompt")
    parser.add_argument(
        "--strategies", type=_strategies, default=tuple(StrategyName), metavar="NAME,NAME,..."
    )
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument("--limit", type=int, help="ask only the first questions")
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep the store here for the next run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every question's row as JSON")


def _strategies(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names or not set(names) <= set(StrategyName):
        raise argparse.ArgumentTypeError(f"must be of {', '.join(StrategyName)}")
    return names


def run(arguments: argparse.Namespace) -> None:
    """Ingest, ask every question by every strategy, print the table."""
    dataset = load_dataset(arguments.dataset).first(arguments.limit)
    model = _cost_model(arguments)
    with (
        ingest_progress(quiet=False) as observer,
        open_corpus(
            dataset,
            Indexing(offline=arguments.offline),
            cache=arguments.store,
            observer=observer,
            announce=console.note,
        ) as corpus,
    ):
        print_machine(describe_machine())
        console.write(
            f"{dataset.name}, {len(corpus.document_ids):,} documents in {corpus.chunks:,} chunks;"
            f" prompts of {arguments.window:,} tokens, counted by the embedder's tokenizer"
        )
        console.write(
            f"costs of {model.architecture.name} ({arguments.weights}) on {model.deployment.engine},"
            f" {model.prefill.reason}"
        )
        compared = compare_strategies(
            corpus,
            window=arguments.window,
            model=model,
            strategies=arguments.strategies,
            progress=ProgressLine("asked"),
        )
    _print(compared)
    if arguments.json:
        _write_json(arguments.json, compared, model)


def _cost_model(arguments: argparse.Namespace) -> ComparedModel:
    architecture = describe_model(arguments.reader).quantised(arguments.weights)
    card = require_gpu(arguments.gpu) if arguments.gpu else None
    deployment = deployment_for(arguments.engine, device=Device.GPU if card else Device.CPU)
    prefill = RooflinePrefill(architecture, deployment, card.speed if card else measure_speed())
    return ComparedModel(architecture, deployment, prefill)


def _print(compared: StrategyComparison) -> None:
    rows = [HEADER, *(_cells(each) for each in compared.means())]
    for line in columns(rows, right=tuple(range(1, len(HEADER)))):
        console.write(line)
    console.write(
        "recall: evidence in the prompt that was answered; read: in any prompt;"
        " memory: upper estimate, weights included; answered: by copying sentences, on this machine"
    )


def _cells(means: StrategyMeans) -> tuple[str, ...]:
    return (
        means.strategy,
        f"{100 * means.recall:.1f}",
        f"{100 * means.recall_read:.1f}",
        f"{100 * means.cited:.1f}",
        f"{means.prompts:.1f}",
        f"{means.tokens_read:,.0f}",
        f"{(means.cache_bytes or 0) / 2**20:,.0f}",
        f"{(means.peak_bytes_upper or 0) / 2**30:.2f}",
        f"{means.prefill_seconds or 0:,.1f}",
        f"{means.seconds:.2f}",
    )


def _write_json(path: Path, compared: StrategyComparison, model: ComparedModel) -> None:
    write_json_file(
        path,
        {
            "benchmark": "strategies",
            "window": compared.window,
            "model": model.architecture.name,
            "prefill": model.prefill.reason,
            "means": compared.means(),
            "questions": compared.rows,
            "machine": describe_machine(),
        },
    )
