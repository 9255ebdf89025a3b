"""How ingest, search, opening, memory and disk grow with the number of chunks, up to a million."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.output import ProgressLine, print_machine, write_json_file
from ragstack.cli import console
from ragstack.cli.progress import ingest_progress
from ragstack.cli.tables import columns
from ragstack.errors import RagstackError, UsageError
from ragstack.evaluation.corpus import Indexing, open_corpus
from ragstack.evaluation.datasets import load_dataset
from ragstack.evaluation.machine import describe_machine

SIZES = (1_000, 10_000, 100_000)
FULL_SIZE = 1_000_000
SAMPLE_FOLDER = Path(__file__).resolve().parents[2] / "data"
QUESTIONS = 500
SEED = 1
BATCH = 20_000
MEGABYTE = 1_000_000

ROWS: tuple[tuple[str, str, float], ...] = (
    ("writing, s", "write_seconds", 1),
    ("of which index, s", "publish_seconds", 1),
    ("writing peak MB", "write_peak", 1 / MEGABYTE),
    ("open, s", "open_seconds", 1),
    ("search p50, ms", "search_p50", 1_000),
    ("search p95, ms", "search_p95", 1_000),
    ("100 hits p50, ms", "deep_p50", 1_000),
    ("recall@10, %", "recall", 100),
    ("as recorded, %", "recorded_recall", 100),
    ("reading peak MB", "read_peak", 1 / MEGABYTE),
    ("index MB", "index_bytes", 1 / MEGABYTE),
    ("database MB", "database_bytes", 1 / MEGABYTE),
    ("one more, s", "one_more_seconds", 1),
)
"""What is printed: its name, its key in the JSON, and the factor between the two."""

GROWING = tuple(name for _, name, _ in ROWS if name not in ("recall", "recorded_recall", "search_p95"))
"""Measures for which an exponent is fitted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for; without anything, the sample documents at three sizes."""
    parser.add_argument(
        "datasets", type=Path, nargs="*", metavar="DATASET", help="folders whose windows and questions count"
    )
    parser.add_argument("--sizes", type=_sizes, default=SIZES, metavar="N,N,...", help="numbers of chunks")
    parser.add_argument("--full", action="store_true", help=f"measure {FULL_SIZE:,} chunks too")
    parser.add_argument("--model", help="embedding model, by name or directory")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument(
        "--embeddings", type=Path, metavar="FILE", help="keep the embeddings for the next run"
    )
    parser.add_argument("--directory", type=Path, metavar="DIR", help="where the stores are built")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measure as JSON")


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(sorted({int(part) for part in text.split(",") if part.strip()}))
    if not sizes or sizes[0] < 100:
        raise argparse.ArgumentTypeError("must be whole numbers of at least 100")
    return sizes


def run(arguments: argparse.Namespace) -> None:
    """Build a store of every size, search it from a process of its own, print the table."""
    sizes = tuple(sorted({*arguments.sizes, *([FULL_SIZE] if arguments.full else [])}))
    windows, questions = _embeddings(arguments)
    print_machine(describe_machine())
    console.write(
        f"{len(windows):,} windows of real text, filled up by normalised mixes of random pairs;"
        f" {len(questions):,} questions; {windows.shape[1]} dimensions"
    )
    with tempfile.TemporaryDirectory(prefix="ragstack-scale-", dir=arguments.directory) as directory:
        measured = [_measure(Path(directory), size, windows, questions) for size in sizes]
    exponents = {name: _exponent(measured, name) for name in GROWING}
    _print_table(measured, exponents)
    if arguments.json:
        write_json_file(
            arguments.json,
            {
                "benchmark": "scale",
                "windows": len(windows),
                "questions": len(questions),
                "sizes": measured,
                "exponents": exponents,
                "machine": describe_machine(),
            },
        )


# ------------------------------------------------------------------------ what is stored


def _embeddings(arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of windows and of questions, each of shape (n, dimension), from the file if there is one."""
    if arguments.embeddings and arguments.embeddings.is_file():
        with np.load(arguments.embeddings, allow_pickle=False) as kept:
            return kept["windows"], kept["questions"]
    windows, questions = [], []
    for folder in arguments.datasets or [SAMPLE_FOLDER]:
        some_windows, some_questions = _embedded(folder, arguments)
        windows.append(some_windows)
        questions.append(some_questions)
    found = np.concatenate(windows), np.concatenate(questions)
    if arguments.embeddings:
        np.savez(arguments.embeddings, windows=found[0], questions=found[1])
    return found


def _embedded(folder: Path, arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    dataset = load_dataset(folder)
    if not dataset.questions:
        raise UsageError(f"`{folder}` has no questions to search for")
    indexing = Indexing(arguments.model, offline=arguments.offline)
    with (
        ingest_progress(quiet=False) as observer,
        open_corpus(dataset, indexing, observer=observer, announce=console.note) as corpus,
    ):
        with corpus.system.store.read() as snapshot:
            ids = [each for name in corpus.document_ids.values() for each in snapshot.chunk_ids(name)]
            windows = np.stack(list(snapshot.vectors(ids).values()))
        embed = corpus.system.embedder.embed_query
        progress = ProgressLine("questions embedded")
        rows = []
        for number, question in enumerate(dataset.questions, 1):
            rows.append(embed(question.text))
            progress(number, len(dataset.questions))
    return windows, np.stack(rows)


def mixes(windows: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """`count` vectors in batches: the windows in random order (some, if `count` is less), then mixes."""
    random = np.random.default_rng(SEED)
    order = random.permutation(len(windows))[:count]
    for at in range(0, len(order), BATCH):
        yield windows[order[at : at + BATCH]]
    for at in range(len(order), count, BATCH):
        size = min(BATCH, count - at)
        first = random.integers(len(windows), size=size)
        second = (first + random.integers(1, len(windows), size=size)) % len(windows)  # never itself: no ties
        share = random.random((size, 1), dtype=np.float32)
        rows = share * windows[first] + (1 - share) * windows[second]
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


# -------------------------------------------------------------------------- measuring


def _measure(directory: Path, size: int, windows: np.ndarray, questions: np.ndarray) -> dict[str, float]:
    """Every measure of a store of `size` chunks, which is deleted afterwards."""
    chosen = np.random.default_rng(SEED).permutation(len(questions))[:QUESTIONS]
    asked = np.ascontiguousarray(questions[chosen])
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        at = Path(folder)
        np.save(at / "windows.npy", windows)
        np.save(at / "questions.npy", asked)
        nearest = _nearest(windows, size, asked)
        np.save(at / "nearest.npy", nearest)
        written = _in_a_process("write", at, str(size))
        read = _in_a_process("read", at)
    return {"chunks": size, **written, **read}


def _nearest(windows: np.ndarray, size: int, questions: np.ndarray, limit: int = 10) -> np.ndarray:
    """Chunk ids of the exact nearest of each question, shape (questions, limit), by comparing with all."""
    best = np.full((len(questions), limit), -np.inf, np.float32)
    ids = np.zeros((len(questions), limit), np.int64)
    first = 1  # ids of a new store count from 1, in the order of writing; the reading process checks that
    for rows in mixes(windows, size):
        scores = np.concatenate([best, questions @ rows.T], axis=1)
        here = np.broadcast_to(np.arange(first, first + len(rows)), (len(questions), len(rows)))
        known = np.concatenate([ids, here], axis=1)
        order = np.argpartition(-scores, limit - 1, axis=1)[:, :limit]
        best, ids = np.take_along_axis(scores, order, axis=1), np.take_along_axis(known, order, axis=1)
        first += len(rows)
    return ids


def _in_a_process(step: str, folder: Path, *more: str) -> dict[str, float]:
    """What one step of `scale_steps` measures, in a process whose memory is its own."""
    script = Path(__file__).with_name("scale_steps.py")
    ended = subprocess.run(
        [sys.executable, str(script), step, str(folder), *more], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RagstackError(f"the step `{step}` failed: {(ended.stderr.strip().splitlines() or ['?'])[-1]}")
    measures: dict[str, float] = json.loads(ended.stdout)
    return measures


def _exponent(measured: Sequence[dict[str, float]], name: str) -> float | None:
    """Least-squares slope of log(measure) on log(chunks): 1 is linear, 0.5 a root, 0 constant."""
    rows = [row for row in measured if row[name] > 0]
    if len(rows) < 2:
        return None
    sizes, values = ([math.log(row[key]) for row in rows] for key in ("chunks", name))
    return float(np.polyfit(sizes, values, 1)[0])


def _print_table(measured: Sequence[dict[str, float]], exponents: dict[str, float | None]) -> None:
    rows = [["chunks", *(f"{int(row['chunks']):,}" for row in measured), "exponent"]]
    for title, name, factor in ROWS:
        exponent = exponents.get(name)
        slope = "" if exponent is None else f"{exponent:.2f}"
        rows.append([title, *(_number(factor * row[name]) for row in measured), slope])
    rows.append(["index", *(str(row["index_kind"]) for row in measured), ""])
    for line in columns(rows, right=range(1, len(measured) + 2)):
        console.write(line)


_number: Callable[[float], str] = lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: E731
