"""A warm question, part by part: embedding it, both searches, weighing what they found, answering.

The questions of a data set are asked of one open store, one after the other. `ask` is the whole of it: the
same search for more hits, packing and copying an answer.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.output import ProgressLine, print_machine, write_json_file
from ragstack.cli import console
from ragstack.cli.progress import ingest_progress
from ragstack.cli.tables import columns
from ragstack.evaluation.corpus import IndexedCorpus, Indexing, open_corpus
from ragstack.evaluation.datasets import load_dataset
from ragstack.evaluation.machine import describe_machine
from ragstack.records import Candidate, ChunkSearch, Filter, StoredChunk, TermCounts
from ragstack.retrieval.search import retrieve

Result = TypeVar("Result")

EMBED, DENSE, LEXICAL, READ = "embed the question", "dense search", "lexical search", "read chunks and counts"
WEIGH, RETRIEVE, ASK = "weigh", "retrieve, in all", "ask, in all"
PARTS = (EMBED, DENSE, LEXICAL, READ, WEIGH, RETRIEVE, ASK)
HITS = 10
WARMING = 20
"""Questions that are asked before the clock is started, and of which no time is kept."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("dataset", type=Path, help="folder with spans of evidence, or BEIR layout")
    parser.add_argument("--split", help="which judgements of a BEIR data set: qrels/SPLIT.tsv")
    parser.add_argument("--limit", type=int, default=300, help="ask at most so many of its questions")
    parser.add_argument("--model", help="embedding model, by name or directory")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep the stores here for the next run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every time as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Ingest if there is no store yet, ask every question, print median and 95 % of each part."""
    dataset = load_dataset(arguments.dataset, split=arguments.split).first(arguments.limit)
    indexing = Indexing(arguments.model, offline=arguments.offline)
    with (
        ingest_progress(quiet=False) as observer,
        open_corpus(
            dataset, indexing, cache=arguments.store, observer=observer, announce=console.note
        ) as corpus,
    ):
        seconds = _measured(corpus, [question.text for question in dataset.questions])
        chunks = corpus.chunks
    machine = describe_machine()
    print_machine(machine)
    console.write(
        f"{dataset.name}, {len(seconds[ASK]):,} questions timed, {chunks:,} chunks; {HITS} hits, warm"
    )
    rows = [["part", "median ms", "95 % ms"]]
    for name in PARTS:
        middle, slow = (1_000 * float(np.quantile(seconds[name], share)) for share in (0.5, 0.95))
        rows.append([name, f"{middle:.1f}", f"{slow:.1f}"])
    for line in columns(rows, right=(1, 2)):
        console.write(line)
    if arguments.json:
        report = {"benchmark": "query", "chunks": chunks, "seconds": seconds, "machine": machine}
        write_json_file(arguments.json, report)


def _measured(corpus: IndexedCorpus, questions: Sequence[str]) -> dict[str, list[float]]:
    """Seconds of every part of every question."""
    system, tell = corpus.system, ProgressLine("asked")
    for question in questions[:WARMING]:
        system.ask(question)
    timed = questions[WARMING:] or questions
    seconds: dict[str, list[float]] = {name: [] for name in PARTS}
    for number, question in enumerate(timed, start=1):
        clock = _Clock()
        with system.store.read() as snapshot:
            vector = clock.timed(EMBED, system.embedder.embed_query, question)
            search = _TimedSearch(snapshot, clock)
            clock.timed(RETRIEVE, retrieve, search, question, vector, limit=HITS)
        clock.timed(ASK, system.ask, question)
        clock.seconds[WEIGH] = clock.seconds[RETRIEVE] - sum(
            clock.seconds[part] for part in (DENSE, LEXICAL, READ)
        )
        clock.seconds[RETRIEVE] += clock.seconds[EMBED]
        for name in PARTS:
            seconds[name].append(clock.seconds[name])
        tell(number, len(timed))
    return seconds


class _Clock:
    """Seconds by part of one question."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)

    def timed(self, part: str, act: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """What `act` returns; its time is added to the part's."""
        started = time.perf_counter()
        try:
            return act(*arguments, **named)
        finally:
            self.seconds[part] += time.perf_counter() - started


class _TimedSearch:
    """A store's searching side, every call of which is timed. Implements `records.ChunkSearch`."""

    def __init__(self, search: ChunkSearch, clock: _Clock) -> None:
        self._search = search
        self._clock = clock

    def dense_candidates(self, vector: np.ndarray, limit: int, where: Filter) -> list[Candidate]:
        return self._clock.timed(DENSE, self._search.dense_candidates, vector, limit, where)

    def lexical_candidates(self, question: str, limit: int, where: Filter) -> list[Candidate]:
        return self._clock.timed(LEXICAL, self._search.lexical_candidates, question, limit, where)

    def term_counts(self, question: str) -> TermCounts:
        return self._clock.timed(READ, self._search.term_counts, question)

    def cosines(self, vector: np.ndarray, chunk_ids: Sequence[int]) -> dict[int, float]:
        return self._clock.timed(READ, self._search.cosines, vector, chunk_ids)

    def chunks(self, chunk_ids: Iterable[int]) -> dict[int, StoredChunk]:
        return self._clock.timed(READ, self._search.chunks, chunk_ids)

    def chunk_ids_around(self, chunk: StoredChunk, distance: int) -> list[int]:
        return self._clock.timed(READ, self._search.chunk_ids_around, chunk, distance)
