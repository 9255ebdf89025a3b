"""What the peers' programs share: their command line, the files, the splitter of systems without one.

Each peer is a module with `ingest(folder, store, model, size, overlap)` and `opened(store, model)`, which
gives a function from a question to ranked spans. They run in an environment without ragstack.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TOP_K = 50
"""Chunks asked for: enough to fill any budget that is measured."""

Span = tuple[str, int, int]
Ranker = Callable[[str], list[Span]]


def files(folder: Path) -> Iterator[tuple[str, str]]:
    """Path within the folder and text of every text file, in a fixed order."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


def split(text: str, model: str, size: int | None, overlap: int) -> list[tuple[int, str]]:
    """LangChain's splitter, for systems that bring none: (offset, chunk), 1,000 / 200 characters by default.

    With a `size` it counts tokens of the embedding model.
    """
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    if size is None:
        splitter = RecursiveCharacterTextSplitter(chunk_size=1_000, chunk_overlap=200)
    else:
        from transformers import AutoTokenizer

        splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
            AutoTokenizer.from_pretrained(model), chunk_size=size, chunk_overlap=overlap
        )
    return list(_located(text, splitter.split_text(text)))


def _located(text: str, chunks: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Each chunk with its offset.

    The splitter's own `add_start_index` subtracts an overlap in tokens from an offset in characters, and says
    -1 where it does not find the chunk from there.
    """
    start = -1
    for chunk in chunks:
        start = text.index(chunk, start + 1)
        yield start, chunk


@dataclass(frozen=True)
class Asked:
    """How a question is searched for, which is timed, and what of that a prompt would hold, if not all."""

    search: Ranker
    pack: Ranker | None = None


def main(
    ingest: Callable[[Path, Path, str, int | None, int], int],
    opened: Callable[[Path, str], Ranker | Asked],
) -> None:
    """`ingest FOLDER STORE` or `ask STORE QUESTIONS`; one JSON document on stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=["ingest", "ask"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--size", type=int)
    parser.add_argument("--overlap", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.job == "ingest":
        chunks = ingest(
            arguments.source, arguments.target, arguments.model, arguments.size, arguments.overlap
        )
        json.dump({"chunks": chunks}, sys.stdout)
        return
    found = opened(arguments.source, arguments.model)
    asked_of = found if isinstance(found, Asked) else Asked(found)
    json.dump(asked(asked_of, json.loads(arguments.target.read_text(encoding="utf-8"))), sys.stdout)


def asked(system: Asked, questions: Sequence[str]) -> dict[str, list[object]]:
    """Ranked spans and seconds of every question."""
    spans: list[object] = []
    seconds: list[object] = []
    for question in questions:
        begun = time.perf_counter()
        found = system.search(question)
        seconds.append(time.perf_counter() - begun)
        spans.append(system.pack(question) if system.pack else found)
    return {"spans": spans, "seconds": seconds}
