"""Cold starts: a question, `--help`, and what they are compared with, each in a process of its own."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.output import ProgressLine, print_machine, write_json_file
from benchmarks.processes import in_turns, ragstack, run_measured, typical_seconds
from ragstack.cli import console
from ragstack.cli.tables import columns
from ragstack.embedding.models import locate_model
from ragstack.evaluation.machine import describe_machine
from ragstack.system import RAGSystem

QUESTION = "What was decided, and why?"

BARE = """
import sys
from sentence_transformers import SentenceTransformer
SentenceTransformer(sys.argv[1], local_files_only=True, device="cpu").encode(sys.argv[2])
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("folder", type=Path, help="documents to ask about")
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument("--rounds", type=int, default=5, help="how often every command is run")
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep the store here for the next run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Ingest if there is no store yet, run every command in turns, print medians and ratios."""
    with tempfile.TemporaryDirectory(prefix="ragstack-startup-") as temporary:
        store = arguments.store or Path(temporary) / "store"
        ask = ["ask", arguments.question, "--offline", "--store", store]
        run_measured(ragstack("ingest", arguments.folder, "--offline", "--store", store))
        run_measured(ragstack(*ask), may_fail=True)
        model = locate_model(None, offline=True).folder
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import click": [sys.executable, "-c", "import click"],
            "ragstack --help": ragstack("--help"),
            "ragstack search": ragstack("search", arguments.question, "--offline", "--store", store),
            "ragstack ask": ragstack(*ask),
            "sentence-transformers, one query": [sys.executable, "-c", BARE, str(model), arguments.question],
        }
        runs = in_turns(commands, arguments.rounds, ProgressLine("run"))
        with RAGSystem.open(store, create=False) as system, system.store.read() as snapshot:
            chunks = sum(document.chunks for document in snapshot.documents())
    seconds = {name: typical_seconds(each) for name, each in runs.items()}
    print_machine(describe_machine())
    console.write(f"{chunks:,} chunks, {arguments.rounds} rounds; new processes, files in the system's cache")
    rows = [["command", "median s", "fastest s", "peak MB"]]
    for name, each in runs.items():
        fastest, peak = min(run.seconds for run in each), max(run.peak_memory for run in each)
        rows.append([name, f"{seconds[name]:.2f}", f"{fastest:.2f}", f"{peak / 1e6:,.0f}"])
    for line in columns(rows, right=(1, 2, 3)):
        console.write(line)
    ratios = {
        "sentence-transformers / ask": seconds["sentence-transformers, one query"] / seconds["ragstack ask"],
        "--help / import click": seconds["ragstack --help"] / seconds["import click"],
    }
    console.write(", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items()))
    if arguments.json:
        measured = {name: [run.seconds for run in each] for name, each in runs.items()}
        write_json_file(
            arguments.json,
            {
                "benchmark": "startup",
                "chunks": chunks,
                "seconds": measured,
                "ratios": ratios,
                "machine": describe_machine(),
            },
        )
