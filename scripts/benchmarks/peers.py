"""ragstack beside txtai, Chroma, LlamaIndex and LangChain: times, memory, disk and evidence, in one run."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.output import print_machine, write_json_file
from ragstack.cli import console
from ragstack.cli.tables import columns
from ragstack.config import DEFAULT_CHUNK_SIZE, DEFAULT_MODEL, DEFAULT_OVERLAP
from ragstack.embedding.models import locate_model
from ragstack.embedding.open import open_embedder
from ragstack.errors import UsageError
from ragstack.evaluation.bootstrap import Interval, paired_difference
from ragstack.evaluation.datasets import Dataset, load_dataset
from ragstack.evaluation.machine import describe_machine
from ragstack.evaluation.metrics import span_recall
from ragstack.evaluation.spans import Span
from ragstack.records import Tokenizer

PROGRAMS = Path(__file__).parent / "peer_systems"
ENVIRONMENT = Path(__file__).resolve().parents[2] / ".venv-peers"
SYSTEMS = ("ragstack", "txtai", "chroma", "llamaindex", "langchain")
BUDGET = 1_000
COLD_RUNS = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """One system under one chunking. Seconds; `memory` is the peak of a process and `disk` the store, bytes.

    `recalls` holds one evidence recall a question, under the budget in tokens of the embedding model.
    """

    system: str
    chunking: str
    chunks: int
    ingest: float
    ingest_again: float
    cold: float
    warm_median: float
    warm_slow: float
    memory: int
    disk: int
    recalls: tuple[float, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("dataset", type=Path, help="folder with spans of evidence")
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="these systems")
    parser.add_argument("--limit", type=int, help="ask only the first questions")
    parser.add_argument(
        "--documents", type=int, help="take only so many documents, those that are asked about first"
    )
    parser.add_argument("--chunkings", nargs="+", choices=["default", "same"], default=["default", "same"])
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT, help="where the peers are installed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Measure every system under every chunking, and print the two tables."""
    dataset = load_dataset(arguments.dataset).first(arguments.limit)
    if not dataset.answerable or not any(question.evidence for question in dataset.answerable):
        raise UsageError(f"`{arguments.dataset}` has no questions with spans of evidence")
    python = _environment(arguments.environment, arguments.only)
    print_machine(describe_machine())
    console.write(_versions())
    rows = []
    with tempfile.TemporaryDirectory(prefix="ragstack-peers-") as folder:
        corpus = _Corpus(dataset, Path(folder), arguments.documents)
        console.write(
            f"{dataset.name}: {len(corpus.texts):,} documents, {len(corpus.questions):,} questions\n"
        )
        for chunking in arguments.chunkings:
            for system in arguments.only:
                console.note(f"measuring {system}, {chunking} chunking")
                program = sys.executable if system == "ragstack" else str(python)
                rows.append(_measure(system, chunking, program, corpus, Path(folder)))
            _print_tables([row for row in rows if row.chunking == chunking])
    if arguments.json:
        described = {"benchmark": "peers", "machine": describe_machine(), "dataset": dataset.name}
        write_json_file(arguments.json, described | {"budget": BUDGET, "rows": rows})


class _Corpus:
    """The documents as files, the questions with their evidence, and the tokens of the embedding model."""

    def __init__(self, dataset: Dataset, folder: Path, documents: int | None) -> None:
        source = dataset.folder / "documents"
        asked = {source / span.document for question in dataset.answerable for span in question.evidence}
        files = (path for path in source.rglob("*") if path.is_file())
        paths = sorted(files, key=lambda path: (path not in asked, path))[:documents]
        self.folder = folder / "documents"
        self.texts: dict[str, str] = {}
        for path in paths:
            name = path.relative_to(source).as_posix()
            self.texts[name] = path.read_text(encoding="utf-8")
            copy = self.folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
        self.questions = [
            question
            for question in dataset.answerable
            if question.evidence and all(span.document in self.texts for span in question.evidence)
        ]
        if not self.questions:
            raise UsageError("no question has all of its evidence in these documents")
        self.asked = folder / "questions.json"
        self.asked.write_text(json.dumps([question.text for question in self.questions]), encoding="utf-8")
        self.first = folder / "first.json"
        self.first.write_text(json.dumps([self.questions[0].text]), encoding="utf-8")
        embedder = open_embedder(None, offline=True)
        self.tokenizer: Tokenizer = embedder.tokenizer

    def recalls(self, ranked: Sequence[Sequence[Sequence[Any]]]) -> Iterator[float]:
        """Evidence recall of each question's spans, in rank order until the budget is spent."""
        for question, spans in zip(self.questions, ranked, strict=True):
            read = list(self._within_budget([(str(d), int(s), int(e)) for d, s, e in spans]))
            yield span_recall(read, question.evidence)

    def _within_budget(self, spans: Sequence[tuple[str, int, int]]) -> Iterator[Span]:
        """The chunks as a prompt is filled with them; the last one is cut where the budget ends."""
        left = BUDGET
        for document, start, end in spans:
            text = self.texts[document][start:end]
            ends = self.tokenizer.spans(text).ends
            if len(ends) > left:
                if left > 0:
                    yield Span(document, start, start + int(ends[left - 1]))
                return
            left -= len(ends)
            yield Span(document, start, end)


def _environment(folder: Path, systems: Sequence[str]) -> Path:
    """The Python of the peers' environment, made if it is not there."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed.txt"
    wanted = (PROGRAMS / "requirements.txt").read_text(encoding="utf-8")
    if set(systems) == {"ragstack"} or (stamp.exists() and stamp.read_text(encoding="utf-8") == wanted):
        return python
    console.note(f"installing the peers into {folder} (several minutes the first time)")
    venv.create(folder, with_pip=True)
    index = subprocess.run(
        [str(PROGRAMS.parents[1] / "torch-index")], capture_output=True, text=True, check=True
    ).stdout.split()
    command = [str(python), "-m", "pip", "install", "--quiet", *index]
    subprocess.run([*command, "-r", str(PROGRAMS / "requirements.txt")], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _versions() -> str:
    lines = (PROGRAMS / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return ", ".join(line.replace("==", " ") for line in lines if line and not line.startswith("#"))


def _model_folder() -> str:
    """The default model's files, which every system is given."""
    return str(locate_model(DEFAULT_MODEL, offline=True).folder)


def _measure(system: str, chunking: str, python: str, corpus: _Corpus, folder: Path) -> Measured:
    store = folder / f"{system}-{chunking}"
    sizes = (
        []
        if chunking == "default"
        else ["--size", str(DEFAULT_CHUNK_SIZE), "--overlap", str(DEFAULT_OVERLAP)]
    )
    program = [python, str(PROGRAMS / f"{system}_system.py")]
    shared = ["--model", _model_folder(), *sizes]
    ingest = [*program, "ingest", str(corpus.folder), str(store), *shared]
    first = _process(ingest)
    again = _process(ingest)
    cold = min(
        _process([*program, "ask", str(store), str(corpus.first), *shared]).seconds for _ in range(COLD_RUNS)
    )
    warm = _process([*program, "ask", str(store), str(corpus.asked), *shared])
    seconds = sorted(warm.output["seconds"][1:] or warm.output["seconds"])
    return Measured(
        system=system,
        chunking=chunking,
        chunks=first.output["chunks"],
        ingest=first.seconds,
        ingest_again=again.seconds,
        cold=cold,
        warm_median=seconds[len(seconds) // 2],
        warm_slow=seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))],
        memory=max(first.memory, again.memory, warm.memory),
        disk=sum(path.stat().st_size for path in store.rglob("*") if path.is_file()),
        recalls=tuple(corpus.recalls(warm.output["spans"])),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    output: Mapping[str, Any]
    seconds: float
    memory: int


def _process(command: Sequence[str]) -> _Run:
    """Run a program to its end: what it printed, wall seconds, and the peak memory of its process."""
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "true",
        "PEERS_BUDGET": str(BUDGET),
        "ANONYMIZED_TELEMETRY": "False",
    }
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdout=output, stderr=complaints, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        complaints.seek(0)
        if child.returncode:
            raise UsageError(f"{command[1]} failed:\n{complaints.read().decode(errors='replace')[-2_000:]}")
        output.seek(0)
        printed = output.read().decode().splitlines()[-1]
    return _Run(json.loads(printed), seconds, _peak(usage))


def _peak(usage: resource.struct_rusage) -> int:
    """Bytes of the largest resident set: Linux counts in KiB, macOS in bytes."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1_024)


def _print_tables(rows: Sequence[Measured]) -> None:
    what = "each system at its own defaults" if rows[0].chunking == "default" else (
        f"every system with chunks of {DEFAULT_CHUNK_SIZE} tokens, {DEFAULT_OVERLAP} shared"
    )  # fmt: skip
    console.write(console.heading(what))
    header = ["system", "chunks", "ingest s", "again s", "cold s", "warm ms", "95 % ms", "memory MiB",
              "disk MiB", f"recall % at {BUDGET:,}", "ragstack ahead by"]  # fmt: skip
    ours = next((row for row in rows if row.system == "ragstack"), None)
    lines = [header, *(_line(row, ours) for row in rows)]
    for line in columns(lines, right=tuple(range(1, 10))):
        console.write(line)
    console.write()


def _line(row: Measured, ours: Measured | None) -> list[str]:
    recall = 100 * sum(row.recalls) / len(row.recalls)
    ahead = ""
    if ours is not None and row is not ours:
        ahead = _interval(paired_difference(ours.recalls, row.recalls))
    return [
        row.system, f"{row.chunks:,}", f"{row.ingest:.1f}", f"{row.ingest_again:.1f}", f"{row.cold:.2f}",
        f"{1e3 * row.warm_median:.1f}", f"{1e3 * row.warm_slow:.1f}", f"{row.memory / 2**20:,.0f}",
        f"{row.disk / 2**20:.1f}", f"{recall:.1f}", ahead,
    ]  # fmt: skip


def _interval(difference: Interval) -> str:
    return f"{100 * difference.mean:+.1f} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
