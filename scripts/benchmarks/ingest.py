"""Ingesting a folder: against embedding alone, again unchanged, after one edit, and of many small files."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.output import print_machine, write_json_file
from benchmarks.processes import Run, ragstack, run_measured
from ragstack.cli import console
from ragstack.cli.tables import columns
from ragstack.errors import UsageError
from ragstack.evaluation.machine import describe_machine

EMBED_ALONE = """
import json, sys, time
from pathlib import Path
from ragstack.chunking.windows import chunk_document
from ragstack.config import DEFAULT_CHUNK_SIZE, default_overlap
from ragstack.embedding.open import open_embedder
from ragstack.ingestion.survey import title_from_path
from ragstack.loading.readers import extract
from ragstack.loading.walk import discover
from ragstack.records import ChunkerSettings
from dataclasses import replace

embedder = open_embedder(offline=True)
embedder.prepare()
settings = ChunkerSettings(size=DEFAULT_CHUNK_SIZE, overlap=default_overlap(DEFAULT_CHUNK_SIZE))
texts = {}
for file in discover(Path(sys.argv[1])).files:
    document = extract(file.absolute.read_bytes(), file.path)
    document = replace(document, title=document.title or title_from_path(file.path))
    for chunk in chunk_document(
        document, embedder.tokenizer, settings,
        max_tokens=embedder.max_tokens, overhead=embedder.document_overhead,
    ):
        texts[chunk.embedding_text] = None
started = time.perf_counter()
embedder.embed_documents(list(texts))
print(json.dumps({"seconds": time.perf_counter() - started, "texts": len(texts)}))
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One measured ingest, and what its report says."""

    name: str
    run: Run
    report: dict[str, object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("folder", type=Path, help="documents to ingest; they are copied first")
    parser.add_argument("--files", type=int, help="only the first so many of them")
    parser.add_argument("--without-reference", action="store_true", help="do not embed the chunks alone")
    parser.add_argument("--small-files", type=int, default=0, help="also ingest so many files of a sentence")
    parser.add_argument("--store", type=Path, metavar="DIR", help="make the store here, and leave it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every step as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Measure every step in a process of its own, print the table."""
    with tempfile.TemporaryDirectory(prefix="ragstack-ingest-") as temporary:
        directory = Path(temporary).resolve()
        files = _copy(arguments.folder, directory / "documents", arguments.files)
        alone = None
        if not arguments.without_reference:
            alone = run_measured(ragstack_python(EMBED_ALONE, directory / "documents"))
        steps = _ingest_in_steps(directory, files, arguments.store or directory / "store")
        if arguments.small_files:
            steps += _small_files(directory, arguments.small_files)
    _print(alone, steps, arguments)


def ragstack_python(program: str, *arguments: object) -> list[str]:
    """A Python program in this interpreter."""
    return [ragstack()[0], "-c", program, *map(str, arguments)]


def _copy(folder: Path, target: Path, limit: int | None) -> list[Path]:
    target.mkdir()
    sources = sorted(path for path in folder.rglob("*") if path.is_file())[:limit]
    if not sources:
        raise UsageError(f"there is no file in `{folder}`", hint="name a folder of documents")
    copied = []
    for source in sources:
        place = target / source.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        copied.append(Path(shutil.copy2(source, place)))
    return copied


def _ingest_in_steps(directory: Path, files: list[Path], store: Path) -> list[Step]:
    documents = directory / "documents"
    steps = [_ingest("first", documents, store), _ingest("unchanged", documents, store)]
    texts = [file for file in files if file.suffix in (".txt", ".md")]
    if not texts:
        return steps
    with texts[len(texts) // 2].open("ab") as edited:
        edited.write(b"\n\nOne more sentence.\n")
    return [*steps, _ingest("one file edited", documents, store)]


def _small_files(directory: Path, count: int) -> list[Step]:
    folder, store = directory / "small", directory / "small-store"
    for number in range(count):
        path = folder / f"{number // 100:03}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Note {number}: the meeting of week {number % 52} is in room {number % 97}.\n")
    return [
        _ingest(f"{count:,} small files, first", folder, store),
        _ingest(f"{count:,} small files, unchanged", folder, store),
    ]


def _ingest(name: str, folder: Path, store: Path) -> Step:
    console.note(f"ingesting: {name}")
    done = run_measured(ragstack("ingest", folder, "--store", store, "--offline", "--json", "-q"))
    return Step(name, done, json.loads(done.output[done.output.index("{") :]))


def _print(alone: Run | None, steps: list[Step], arguments: argparse.Namespace) -> None:
    machine = describe_machine()
    print_machine(machine)
    rows = [["ingest", "seconds", "peak MB", "chunks", "embedded", "failed"]]
    reference = json.loads(alone.output.splitlines()[-1]) if alone is not None else None
    if reference is not None and alone is not None:
        seconds, texts = reference["seconds"], reference["texts"]
        rows.append(
            ["(embedding alone)", f"{seconds:.1f}", f"{alone.peak_memory / 1e6:,.0f}", "", f"{texts:,}", ""]
        )
    for step in steps:
        outcomes = step.report["outcomes"]
        assert isinstance(outcomes, list)
        failed = sum(outcome["state"] == "failed" for outcome in outcomes)
        counts = [f"{step.report['chunks']:,}", f"{step.report['embedded']:,}", str(failed)]
        rows.append([step.name, f"{step.run.seconds:.2f}", f"{step.run.peak_memory / 1e6:,.0f}", *counts])
    for line in columns(rows, right=(1, 2, 3, 4, 5)):
        console.write(line)
    if reference is not None:
        console.write(f"first ingest / embedding alone {steps[0].run.seconds / reference['seconds']:.2f}")
    if arguments.json:
        write_json_file(
            arguments.json,
            {
                "benchmark": "ingest",
                "embedding_alone": reference,
                "steps": [
                    {"name": step.name, "seconds": step.run.seconds, "peak_memory": step.run.peak_memory}
                    for step in steps
                ],
                "machine": machine,
            },
        )
