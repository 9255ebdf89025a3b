"""Building the index segment of a range of chunks from their vectors in SQLite, in bounded memory.

Exact while comparing with every vector is quick; an inverted file above that, whose lists, quantiser and
number of lists to search follow the present size. Not responsible for files or the manifest.

How many lists are searched is chosen by a recall check: queries are made from the stored vectors, the true
nearest are found by comparing with everything (while the vectors stream by to be added), and probes grow
until enough of the nearest are among the candidates. Stored vectors themselves, or small changes of them,
would flatter the index, since questions are drawn from elsewhere than chunks. So a query is the mean of MIXED
random vectors with noise added that is NOISE times as long. Recall@10 of such queries / of real questions by
the number of lists searched (all-MiniLM-L6-v2; the last two filled up by mixes of random pairs):

    vectors (lists)                     16            32            64           128           256
    SciFact abstracts, 5,183 (287)    .756 / .891   .881 / .952   .964 / .986   .994 / .997
    SQuAD paragraphs, 21,160 (581)    .811 / .910   .895 / .949   .953 / .973   .986 / .990
    SQuAD windows, 22,133 (595)       .922 / .901   .971 / .946   .989 / .982    1   / .993
    Chroma windows, 24,652 (628)      .928 / .990   .963 / .995   .988 / .998   .999 / .999
    all and mixes, 100,000 (1,264)                                .960 / .982   .986 / .994   .995 / .997
    all and mixes, 300,000 (2,190)                                .913 / .973   .964 / .984   .985 / .995

At the target and above it the check was at most 0.013 above the questions in two draws, and mostly below;
stores of 100,000 and 300,000 recorded 0.985 and 0.988 where 500 questions found 0.991 and 0.993. Tried and
too easy (SQuAD windows, 64 lists, .982 for questions): one vector with noise of 2 or 3 times its length, .999
and .995; two with 2 times, .995. Too hard elsewhere: one with 4 times (.901 at 64 of 2,190 lists).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from ragstack.store import vectors as faiss_side
from ragstack.store.stored_vectors import (
    BATCH,
    count_chunks,
    embedded_chunk_ids,
    read_vectors_of,
    vector_batches,
)

if TYPE_CHECKING:
    from ragstack.records import FloatArray, IntArray

APPROXIMATE_FROM = 50_000
"""A segment of this many vectors is an inverted file.

Comparing a question with 100,000 vectors takes 6.9 ms on two free cores and 27 ms on busy ones, and grows
with their number. An inverted file of as many takes 0.5 ms, and 0.6 ms go to reading the vectors that its
candidates are scored by: at half of that size the difference begins to be felt.
"""

BESIDE_OTHERS = 5
"""In a store of APPROXIMATE_FROM vectors and more, a segment of a fifth of that is an inverted file too.

A question is compared with all exact segments of a store together. At a million vectors those of 40,000 and
20,000 took longer than the two inverted files of 940,000.
"""

TARGET_RECALL = 0.985
"""Share of the ten nearest that the recall check must find; for real questions 0.98 is wanted, see above."""

NEAREST = 10
"""Neighbours by which recall is measured."""

QUERIES = 256
"""Queries of the recall check; 2,560 neighbours leave a standard error of 0.24 points at the target."""

MIXED = 4
"""Random vectors that a query of the recall check is the mean of."""

NOISE = 2.0
"""Length of the noise of such a query, in lengths of that mean."""

PROBES_STEP = 2**0.25
"""Factor between the numbers of lists that the check tries: at most 19 % more than needed are searched."""

SEED = 20_240
"""The same vectors give the same segment."""


@dataclass(frozen=True, slots=True)
class RecallCheck:
    """What the manifest says of an inverted file.

    `recall_at_10` is the share of the true ten nearest of `queries` queries found with `probes` of `lists`.
    """

    lists: int
    probes: int
    recall_at_10: float
    queries: int
    trained_on: int


@dataclass(frozen=True, slots=True)
class BuiltSegment:
    """A segment and, if it is not exact, how well it finds."""

    segment: faiss_side.VectorSegment
    check: RecallCheck | None

    @property
    def details(self) -> dict[str, int | float]:
        """The same for the manifest."""
        return asdict(self.check) if self.check else {}


def candidates_for(limit: int) -> int:
    """How many candidates of a quantised segment are scored exactly, so that the best `limit` are among them.

    Codes of 8 bits swap close neighbours: of 10 candidates 98.2 % were among the true ten nearest where the
    lists that were searched held 99.0 %, of 20 all of those (100,000 vectors, 600 questions).
    """
    return limit + NEAREST + limit // 10


def build_stored(
    connection: sqlite3.Connection,
    generation_id: int,
    dimension: int,
    *,
    first: int,
    last: int | None,
    approximate_from: int | None = None,
) -> BuiltSegment | None:
    """The segment of the chunks from `first` to `last`; None if there is no vector.

    `approximate_from` takes the place of APPROXIMATE_FROM; see BESIDE_OTHERS, too.
    """
    ids = embedded_chunk_ids(connection, generation_id, first=first, last=last)
    if not len(ids):
        return None
    batches = vector_batches(connection, generation_id, dimension, first=first, last=last)
    least = APPROXIMATE_FROM if approximate_from is None else approximate_from
    if count_chunks(connection, generation_id, first=0) >= least:
        least = max(1, least // BESIDE_OTHERS)
    if len(ids) < least:
        return _build_exact(batches, dimension)
    random = np.random.default_rng(SEED)
    return _build_inverted(batches, _sample(connection, ids, dimension, random), len(ids), random)


def _build_exact(batches: Iterable[tuple[IntArray, FloatArray]], dimension: int) -> BuiltSegment:
    growing = faiss_side.begin_exact(dimension)
    for ids, rows in batches:
        growing.add(ids, rows)
    return BuiltSegment(growing.finish(), None)


def _build_inverted(
    batches: Iterable[tuple[IntArray, FloatArray]],
    sample: FloatArray,
    count: int,
    random: np.random.Generator,
) -> BuiltSegment:
    """Train on the sample, add the `count` vectors of the batches, and choose how many lists to search."""
    queries = recall_queries(sample, random)
    growing = faiss_side.begin_inverted(sample, count)
    nearest = _Nearest(queries)
    for ids, rows in batches:
        growing.add(ids, rows)
        nearest.look_at(ids, rows)
    return _with_probes(growing.finish(), nearest, len(sample))


def _sample(
    connection: sqlite3.Connection, ids: IntArray, dimension: int, random: np.random.Generator
) -> FloatArray:
    """Vectors to train on, drawn evenly from those of `ids`; shape (n, dimension)."""
    wanted = min(len(ids), faiss_side.list_count(len(ids)) * faiss_side.TRAINING_PER_LIST)
    chosen = ids[np.sort(random.choice(len(ids), wanted, replace=False))]
    sample = np.empty((wanted, dimension), np.float32)
    for at in range(0, wanted, BATCH):
        _, rows = read_vectors_of(connection, chosen[at : at + BATCH], dimension)
        sample[at : at + len(rows)] = rows
    return sample


def recall_queries(sample: FloatArray, random: np.random.Generator) -> FloatArray:
    """Queries about as hard to answer as questions, made of vectors; shape (QUERIES, dimension), length 1."""
    count, dimension = QUERIES, sample.shape[1]
    chosen = random.integers(len(sample), size=(count, MIXED))
    mean = _normalised(sample[chosen].sum(axis=1))
    noise = _normalised(random.standard_normal((count, dimension)).astype(np.float32))
    return _normalised(mean + np.float32(NOISE) * noise)


def _normalised(rows: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    normalised: FloatArray = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return normalised


class _Nearest:
    """The true nearest of some queries among the vectors looked at so far."""

    def __init__(self, queries: FloatArray) -> None:
        self.queries = queries
        self.ids = np.full((len(queries), NEAREST), -1, np.int64)
        self._scores = np.full((len(queries), NEAREST), -np.inf, np.float32)

    def look_at(self, ids: IntArray, rows: FloatArray) -> None:
        """Consider `rows`, shape (n, dimension), under `ids`, shape (n,)."""
        scores = np.concatenate([self._scores, self.queries @ rows.T], axis=1)
        best = np.argpartition(-scores, NEAREST - 1, axis=1)[:, :NEAREST]
        known = np.concatenate([self.ids, np.broadcast_to(ids, (len(self.queries), len(ids)))], axis=1)
        self._scores = np.take_along_axis(scores, best, axis=1)
        self.ids = np.take_along_axis(known, best, axis=1)


def _with_probes(segment: faiss_side.VectorSegment, nearest: _Nearest, trained_on: int) -> BuiltSegment:
    """The segment that searches as few lists as the target allows, within the step."""
    probes = max(1, segment.lists // 128)
    while True:
        recall = measured_recall(segment, nearest.queries, nearest.ids, probes)
        if recall >= TARGET_RECALL or probes >= segment.lists:
            break
        probes = min(segment.lists, max(probes + 1, round(probes * PROBES_STEP)))
    check = RecallCheck(segment.lists, probes, round(recall, 4), len(nearest.queries), trained_on)
    chosen = faiss_side.VectorSegment(segment.index, segment.ids, segment.kind, probes)
    return BuiltSegment(chosen, check)


def measured_recall(
    segment: faiss_side.VectorSegment, queries: FloatArray, nearest: IntArray, probes: int
) -> float:
    """Share of `nearest`, shape (queries, NEAREST), that is among the candidates of a search.

    Candidates are scored exactly afterwards, so those of the true nearest that are among them come first.
    """
    held = segment.candidates(queries, min(candidates_for(NEAREST), segment.count), probes)
    found = sum(int(np.isin(true[true >= 0], row).sum()) for true, row in zip(nearest, held, strict=True))
    return found / max(int((nearest >= 0).sum()), 1)
