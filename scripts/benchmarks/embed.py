"""Embedding real chunks: the compiled model, the original, and SentenceTransformer.encode as it comes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.output import ProgressLine, print_machine, write_json_file
from ragstack.chunking.windows import chunk_document
from ragstack.cli import console
from ragstack.cli.tables import columns
from ragstack.config import DEFAULT_CHUNK_SIZE, default_overlap
from ragstack.embedding.compiled import open_original
from ragstack.embedding.fingerprint import lowest_cosine
from ragstack.embedding.models import locate_model
from ragstack.embedding.quiet import quiet_libraries
from ragstack.embedding.sentence import SentenceTransformerEmbedder
from ragstack.errors import LoadingError, RagstackError
from ragstack.evaluation.machine import describe_machine
from ragstack.loading.readers import extract
from ragstack.loading.walk import discover
from ragstack.records import ChunkerSettings

REFERENCE = "SentenceTransformer.encode"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("folder", type=Path, help="documents to take chunks of")
    parser.add_argument("--chunks", type=int, default=400, help="how many")
    parser.add_argument("--chunk-size", type=int, default=DEFAULT_CHUNK_SIZE, help="tokens of a chunk")
    parser.add_argument("--model", help="embedding model, by name or directory")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument("--rounds", type=int, default=3, help="how often each embeds all of them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Embed the same chunks with each in turns, print rates, ratios and cosines."""
    model = locate_model(arguments.model, offline=arguments.offline, announce=console.note)
    compiled = SentenceTransformerEmbedder(model, announce=console.note)
    texts = _chunks(compiled, arguments.folder, arguments.chunks, arguments.chunk_size)
    original = SentenceTransformerEmbedder(model, open_runtime=open_original)
    embed: dict[str, Callable[[Sequence[str]], Any]] = {
        REFERENCE: _library(model.folder),
        "ragstack, original": original.embed_documents,
        "ragstack, compiled": compiled.embed_documents,
    }
    seconds: dict[str, list[float]] = {name: [] for name in embed}
    vectors, tell = {}, ProgressLine("run")
    for function in embed.values():
        function(texts[:8])
    for number in range(arguments.rounds):
        for place, (name, function) in enumerate(embed.items()):
            started = time.perf_counter()
            vectors[name] = function(texts)
            seconds[name].append(time.perf_counter() - started)
            tell(number * len(embed) + place + 1, arguments.rounds * len(embed))
    lengths = [len(ids) for ids in compiled.tokenizer.model_input(texts)]
    _print(seconds, vectors, lengths, arguments)


def _library(folder: Path) -> Callable[[Sequence[str]], Any]:
    """The library at its defaults, but for the progress bar."""
    with quiet_libraries():
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(folder), local_files_only=True, device="cpu")
    return lambda texts: model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


def _chunks(embedder: SentenceTransformerEmbedder, folder: Path, count: int, size: int) -> list[str]:
    """`count` different chunks as they are embedded, evenly from what the files of the folder give."""
    settings = ChunkerSettings(size=size, overlap=default_overlap(size))
    limits = {"max_tokens": embedder.max_tokens, "overhead": embedder.document_overhead}
    texts: dict[str, None] = {}
    for file in discover(folder.resolve()).files:
        if len(texts) >= 20 * count:
            break
        try:
            document = extract(file.absolute.read_bytes(), file.path)
        except LoadingError:
            continue
        chunks = chunk_document(document, embedder.tokenizer, settings, **limits)
        texts.update(dict.fromkeys(chunk.embedding_text for chunk in chunks))
    if not texts:
        raise RagstackError(f"no text was found in `{folder}`")
    every = list(texts)
    return every[:: max(1, len(every) // count)][:count]


def _print(
    seconds: dict[str, list[float]],
    vectors: dict[str, Any],
    lengths: list[int],
    arguments: argparse.Namespace,
) -> None:
    machine = describe_machine()
    best = {name: min(times) for name, times in seconds.items()}
    cosines = {name: lowest_cosine(rows, vectors[REFERENCE]) for name, rows in vectors.items()}
    print_machine(machine)
    console.write(
        f"{len(lengths):,} chunks of {np.mean(lengths):.0f} tokens on average,"
        f" best of {arguments.rounds} rounds in turns"
    )
    rows = [["embedding by", "chunks/s", "tokens/s", "times as fast", "lowest cosine"]]
    for name, least in best.items():
        rates = [f"{len(lengths) / least:,.1f}", f"{sum(lengths) / least:,.0f}"]
        rows.append([name, *rates, f"{best[REFERENCE] / least:.2f}", f"{cosines[name]:.6f}"])
    for line in columns(rows, right=(1, 2, 3, 4)):
        console.write(line)
    if arguments.json:
        report = {"benchmark": "embed", "chunks": len(lengths), "tokens": sum(lengths), "seconds": seconds}
        write_json_file(arguments.json, report | {"lowest_cosine": cosines, "machine": machine})
