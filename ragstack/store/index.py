"""The vector side of one committed state: published segments, the unpublished tail, and what is masked.

A `VectorIndex` is immutable; a newer state is a new object that shares what did not change. Loading one never
writes: a segment file that is missing or damaged is rebuilt in memory from the vectors in SQLite, and
said so.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragstack.store import vectors as faiss_side
from ragstack.store.building import build_stored, candidates_for
from ragstack.store.connections import column, fetch
from ragstack.store.stored_vectors import read_vectors, read_vectors_of

if TYPE_CHECKING:
    from ragstack.records import FloatArray, IntArray
    from ragstack.store.protocols import ReadVectors

INDEX_DIRECTORY = "index"

EXACT_BELOW = 1_000
"""With a filter that leaves fewer chunks than this, their vectors are read and compared directly.

On a busy machine, reading 100, 500, 1,000 and 2,000 vectors by id took 0.2, 0.6 to 2.1, 2.7 to 7.6 and 7.9 to
14.7 ms (from neighbours to scattered ones); searching an inverted file under a bitmap of ids took 0.8 to 6 ms
at 60,000 vectors and 19 ms at a million, whatever their number. Both found the same.
"""

PART_BYTES = 4 << 20
"""How much of an index file is read, hashed and later freed at once."""


@dataclass(frozen=True, slots=True)
class LoadedSegment:
    """A segment and the manifest entry that it was loaded for."""

    file: str
    sha256: str
    last_chunk_id: int
    vectors: faiss_side.VectorSegment


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Every searchable vector of one generation at one sequence number."""

    generation_id: int
    dimension: int
    sequence: int
    segments: tuple[LoadedSegment, ...]
    tail_ids: IntArray
    tail_vectors: FloatArray
    dead: IntArray
    damaged: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of live vectors."""
        return sum(part.vectors.count for part in self.segments) - len(self.dead) + len(self.tail_ids)

    def search(
        self, vector: FloatArray, limit: int, *, read: ReadVectors, only: IntArray | None = None
    ) -> list[tuple[int, float]]:
        """(chunk id, inner product) of the nearest live vectors, best first; ties by id.

        `only` are sorted chunk ids. The best candidates of all approximate segments together are scored
        exactly by the vectors that `read` gives, in one call.
        """
        found: list[tuple[int, float]] = []
        candidates: list[tuple[int, float]] = []
        for part in self.segments:
            allowed = self._allowed(part, only)
            if part.vectors.is_exact:
                found += part.vectors.search(vector, limit, allowed=allowed)
            else:
                candidates += part.vectors.search(vector, candidates_for(limit), allowed=allowed)
        if candidates:
            best = heapq.nlargest(candidates_for(limit), candidates, key=lambda item: item[1])
            found += faiss_side.search_rows(*read([chunk_id for chunk_id, _ in best]), vector, limit)
        ids, rows = self.tail_ids, self.tail_vectors
        if only is not None:
            kept = np.isin(ids, only)
            ids, rows = ids[kept], rows[kept]
        found += faiss_side.search_rows(ids, rows, vector, limit)
        return heapq.nsmallest(limit, found, key=lambda item: (-item[1], item[0]))

    def _allowed(self, part: LoadedSegment, only: IntArray | None) -> faiss_side.AllowedIds | None:
        """What a search of a segment may return: live, and among `only`."""
        held = part.vectors.ids
        first, last = (int(held[0]), int(held[-1])) if len(held) else (0, 0)
        dead = _between(self.dead, first, last)
        wanted = None if only is None else _between(only, first, last)
        return faiss_side.allowed_ids(only=wanted, without=dead, last=last, count=len(held))


def _between(ids: IntArray, first: int, last: int) -> IntArray:
    """The part of sorted `ids` from `first` to `last`."""
    return ids[np.searchsorted(ids, first) : np.searchsorted(ids, last, side="right")]


def load_index(
    connection: sqlite3.Connection,
    directory: Path,
    *,
    generation_id: int,
    dimension: int,
    sequence: int,
    previous: VectorIndex | None,
    warn: Callable[[str], None],
) -> VectorIndex:
    """The vector side of the state that `connection` sees, reusing what `previous` already holds."""
    if previous is not None and previous.generation_id != generation_id:
        previous = None
    rows = fetch(
        connection,
        "SELECT * FROM segments WHERE generation_id = ? AND retired_at IS NULL ORDER BY first_chunk_id",
        (generation_id,),
    )
    held = {part.file: part for part in previous.segments} if previous else {}
    segments, damaged = [], []
    for row in rows:
        part = held.get(row["file"]) or _load_segment(directory, row, dimension)
        if isinstance(part, str):
            warn(f"index segment `{row['file']}` {part}; rebuilt from the stored vectors")
            damaged.append(row["file"])
            part = _rebuilt_segment(connection, row, generation_id, dimension)
        segments.append(part)
    covered = max((part.last_chunk_id for part in segments), default=0)
    tail_ids, tail_vectors = _load_tail(connection, generation_id, dimension, covered, previous)
    return VectorIndex(
        generation_id=generation_id,
        dimension=dimension,
        sequence=sequence,
        segments=tuple(segments),
        tail_ids=tail_ids,
        tail_vectors=tail_vectors,
        dead=_dead_ids(connection, generation_id, segments),
        damaged=tuple(damaged),
    )


def _load_segment(directory: Path, row: sqlite3.Row, dimension: int) -> LoadedSegment | str:
    """The segment of a manifest row, or what is wrong with its file."""
    read = read_checked(directory / INDEX_DIRECTORY / row["file"], row["bytes"], row["sha256"])
    if isinstance(read, str):
        return read
    try:
        loaded = load_checked(read, row, dimension)
    except ValueError as error:
        return f"cannot be used ({error})"
    if loaded.count != row["vectors"]:
        return "holds another number of vectors than its manifest says"
    return LoadedSegment(row["file"], row["sha256"], row["last_chunk_id"], loaded)


def read_checked(path: Path, size: int, sha256: str) -> deque[bytes] | str:
    """The file in parts if it has this size and sha256, else what is wrong with it."""
    parts: deque[bytes] = deque()
    digest, left = hashlib.sha256(), size
    try:
        with path.open("rb", buffering=0) as file:
            while part := file.read(min(PART_BYTES, left + 1)):
                digest.update(part)
                parts.append(part)
                left -= len(part)
                if left < 0:
                    break
    except OSError as error:
        return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    return parts if left == 0 and digest.hexdigest() == sha256 else "is damaged"


def load_checked(parts: deque[bytes], row: sqlite3.Row, dimension: int) -> faiss_side.VectorSegment:
    """The segment of a manifest row in the `parts` of its file, which are used up; ValueError if it is none.

    Each part is freed once FAISS has read it, so that opening takes no more memory than the index does.
    """
    details = json.loads(row["details"])
    probes = details.get("probes", 0) if isinstance(details, dict) else 0
    probes = probes if isinstance(probes, int) else 0
    return faiss_side.deserialize(_taken(parts), row["kind"], dimension, size=row["bytes"], probes=probes)


def _taken(parts: deque[bytes]) -> Iterator[bytes]:
    while parts:
        yield parts.popleft()


def _rebuilt_segment(
    connection: sqlite3.Connection, row: sqlite3.Row, generation_id: int, dimension: int
) -> LoadedSegment:
    first, last = row["first_chunk_id"], row["last_chunk_id"]
    built = build_stored(connection, generation_id, dimension, first=first, last=last)
    if built is None:
        segment = faiss_side.build_segment(np.empty(0, np.int64), np.empty((0, dimension), np.float32))
    else:
        segment = built.segment
    return LoadedSegment(row["file"], row["sha256"], last, segment)


def _dead_ids(
    connection: sqlite3.Connection, generation_id: int, segments: Sequence[LoadedSegment]
) -> IntArray:
    """Masked ids that the loaded segments really hold (one rebuilt in memory no longer holds its dead)."""
    statement = "SELECT chunk_id FROM dead_vectors WHERE generation_id = ? ORDER BY chunk_id"
    dead = np.array(column(connection, statement, (generation_id,)), dtype=np.int64)
    if not len(dead):
        return dead
    held = [part.vectors.ids for part in segments]
    return dead[np.isin(dead, np.concatenate(held))] if held else dead[:0]


def _load_tail(
    connection: sqlite3.Connection,
    generation_id: int,
    dimension: int,
    covered: int,
    previous: VectorIndex | None,
) -> tuple[IntArray, FloatArray]:
    if previous is None or not len(previous.tail_ids):
        return read_vectors(connection, generation_id, dimension, first=covered + 1)
    statement = "SELECT id FROM chunks WHERE generation_id = ? AND id > ? ORDER BY id"
    ids = np.array(column(connection, statement, (generation_id, covered)), dtype=np.int64)
    known = np.isin(previous.tail_ids, ids)
    fresh = np.setdiff1d(ids, previous.tail_ids[known], assume_unique=True)
    fresh_ids, fresh_vectors = read_vectors_of(connection, fresh, dimension)
    all_ids = np.concatenate([previous.tail_ids[known], fresh_ids])
    order = np.argsort(all_ids, kind="stable")
    return all_ids[order], np.concatenate([previous.tail_vectors[known], fresh_vectors])[order]
