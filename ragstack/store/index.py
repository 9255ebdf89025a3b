"""The vector side of one committed state: published segments, the unpublished tail, and what is masked.

A `VectorIndex` is immutable; a newer state is a new object that shares what did not change. Loading one never
writes: a segment file that is missing or damaged is rebuilt in memory from the vectors in SQLite, and
said so.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from ragstack.store import vectors as faiss_side
from ragstack.store.database import bind_ids, ids_in
from ragstack.store.models import ChunkRow, DeadVector, Segment, VectorRow

if TYPE_CHECKING:
    from ragstack.records import FloatArray, IntArray
    from ragstack.store.database import AnyRow

INDEX_DIRECTORY = "index"

EXACT_BELOW = 2_000
"""With a filter that leaves fewer chunks than this, their vectors are read and compared directly."""


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
        self, vector: FloatArray, limit: int, *, only: IntArray | None = None
    ) -> list[tuple[int, float]]:
        """(chunk id, inner product) of the nearest live vectors, best first; ties by id."""
        found: list[tuple[int, float]] = []
        for part in self.segments:
            found += part.vectors.search(vector, limit, only=only, without=self.dead)
        ids, rows = self.tail_ids, self.tail_vectors
        if only is not None:
            kept = np.isin(ids, only)
            ids, rows = ids[kept], rows[kept]
        found += faiss_side.search_rows(ids, rows, vector, limit)
        return heapq.nsmallest(limit, found, key=lambda item: (-item[1], item[0]))


def load_index(
    connection: Connection,
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
    rows = connection.execute(
        select(Segment)
        .with_only_columns(*Segment.__table__.columns)
        .where(Segment.generation_id == generation_id, Segment.retired_at.is_(None))
        .order_by(Segment.first_chunk_id)
    ).all()
    held = {part.file: part for part in previous.segments} if previous else {}
    segments, damaged = [], []
    for row in rows:
        part = held.get(row.file) or _load_segment(directory, row, dimension)
        if isinstance(part, str):
            warn(f"index segment `{row.file}` {part}; rebuilt from the stored vectors")
            damaged.append(row.file)
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


def _load_segment(directory: Path, row: AnyRow, dimension: int) -> LoadedSegment | str:
    """The segment of a manifest row, or what is wrong with its file."""
    try:
        data = (directory / INDEX_DIRECTORY / row.file).read_bytes()
    except OSError as error:
        return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    if len(data) != row.bytes or hashlib.sha256(data).hexdigest() != row.sha256:
        return "is damaged"
    try:
        loaded = faiss_side.deserialize(data, row.kind, dimension)
    except ValueError as error:
        return f"cannot be used ({error})"
    if loaded.count != row.vectors:
        return "holds another number of vectors than its manifest says"
    return LoadedSegment(row.file, row.sha256, row.last_chunk_id, loaded)


def _rebuilt_segment(
    connection: Connection, row: AnyRow, generation_id: int, dimension: int
) -> LoadedSegment:
    ids, rows = read_vectors(
        connection, generation_id, dimension, first=row.first_chunk_id, last=row.last_chunk_id
    )
    return LoadedSegment(row.file, row.sha256, row.last_chunk_id, faiss_side.build_segment(ids, rows))


def _dead_ids(connection: Connection, generation_id: int, segments: Sequence[LoadedSegment]) -> IntArray:
    """Masked ids that the loaded segments really hold (one rebuilt in memory no longer holds its dead)."""
    ids = connection.execute(
        select(DeadVector.chunk_id)
        .where(DeadVector.generation_id == generation_id)
        .order_by(DeadVector.chunk_id)
    ).scalars()
    dead = np.fromiter(ids, dtype=np.int64)
    if not len(dead):
        return dead
    held = [part.vectors.ids for part in segments]
    return dead[np.isin(dead, np.concatenate(held))] if held else dead[:0]


def _load_tail(
    connection: Connection,
    generation_id: int,
    dimension: int,
    covered: int,
    previous: VectorIndex | None,
) -> tuple[IntArray, FloatArray]:
    if previous is None or not len(previous.tail_ids):
        return read_vectors(connection, generation_id, dimension, first=covered + 1)
    statement = (
        select(ChunkRow.id)
        .where(ChunkRow.generation_id == generation_id, ChunkRow.id > covered)
        .order_by(ChunkRow.id)
    )
    ids = np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)
    known = np.isin(previous.tail_ids, ids)
    fresh = np.setdiff1d(ids, previous.tail_ids[known], assume_unique=True)
    fresh_ids, fresh_vectors = read_vectors_of(connection, fresh, dimension)
    all_ids = np.concatenate([previous.tail_ids[known], fresh_ids])
    order = np.argsort(all_ids, kind="stable")
    return all_ids[order], np.concatenate([previous.tail_vectors[known], fresh_vectors])[order]


def read_vectors(
    connection: Connection, generation_id: int, dimension: int, *, first: int, last: int | None = None
) -> tuple[IntArray, FloatArray]:
    """Ids, shape (n,), and vectors, shape (n, dimension), of the chunks from `first` to `last`, by id."""
    statement = (
        select(ChunkRow.id, VectorRow.vector)
        .join(VectorRow, VectorRow.chunk_id == ChunkRow.id)
        .where(ChunkRow.generation_id == generation_id, ChunkRow.id >= first)
        .order_by(ChunkRow.id)
    )
    if last is not None:
        statement = statement.where(ChunkRow.id <= last)
    return _to_arrays(connection.execute(statement).all(), dimension)


def read_vectors_of(
    connection: Connection, chunk_ids: Sequence[int] | IntArray, dimension: int
) -> tuple[IntArray, FloatArray]:
    """Ids and vectors of these chunks, by id; chunks that are gone are left out."""
    if len(chunk_ids) == 0:
        return np.empty(0, np.int64), np.empty((0, dimension), np.float32)
    statement = (
        select(VectorRow.chunk_id, VectorRow.vector)
        .where(VectorRow.chunk_id.in_(ids_in("wanted")))
        .order_by(VectorRow.chunk_id)
    )
    return _to_arrays(connection.execute(statement, {"wanted": bind_ids(chunk_ids)}).all(), dimension)


def _to_arrays(rows: Sequence[tuple[int, bytes]], dimension: int) -> tuple[IntArray, FloatArray]:
    ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    return ids, faiss_side.from_bytes([row[1] for row in rows], dimension)


def count_chunks(
    connection: Connection, generation_id: int, *, first: int = 0, last: int | None = None
) -> int:
    """Number of chunks of a generation with ids from `first` to `last`."""
    statement = (
        select(func.count())
        .select_from(ChunkRow)
        .where(ChunkRow.generation_id == generation_id, ChunkRow.id >= first)
    )
    if last is not None:
        statement = statement.where(ChunkRow.id <= last)
    return int(connection.execute(statement).scalar_one())
