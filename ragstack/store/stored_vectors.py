"""Reading vectors from SQLite, where they are kept for good: by range, by id, and in batches.

Not responsible for searching them. Vectors come as arrays of shape (n, dimension) with their chunk ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ragstack.store.connections import IDS_IN, bind_ids, column, scalar
from ragstack.store.vectors import from_bytes

if TYPE_CHECKING:
    from ragstack.records import FloatArray, IntArray

BATCH = 8_192
"""Vectors that are in memory at once where all are read: 13 MB at 384 dimensions."""

_HIGHEST_ID = 2**63 - 1

_OF_CHUNKS_BETWEEN = (
    "FROM chunks JOIN vectors ON vectors.chunk_id = chunks.id "
    "WHERE chunks.generation_id = ? AND chunks.id BETWEEN ? AND ? ORDER BY chunks.id"
)
_VECTORS_BETWEEN = f"SELECT chunks.id, vectors.vector {_OF_CHUNKS_BETWEEN}"
_IDS_BETWEEN = f"SELECT chunks.id {_OF_CHUNKS_BETWEEN}"
_VECTORS_OF = (
    f"SELECT chunk_id, vector FROM vectors WHERE chunk_id {IDS_IN.format('wanted')} ORDER BY chunk_id"
)
_COUNT_BETWEEN = "SELECT count(*) FROM chunks WHERE generation_id = ? AND id BETWEEN ? AND ?"


def read_vectors(
    connection: sqlite3.Connection, generation_id: int, dimension: int, *, first: int, last: int | None = None
) -> tuple[IntArray, FloatArray]:
    """Ids, shape (n,), and vectors, shape (n, dimension), of the chunks from `first` to `last`, by id."""
    return _to_arrays(
        connection.execute(_VECTORS_BETWEEN, (generation_id, first, _end(last))).fetchall(), dimension
    )


def vector_batches(
    connection: sqlite3.Connection, generation_id: int, dimension: int, *, first: int, last: int | None = None
) -> Iterator[tuple[IntArray, FloatArray]]:
    """What `read_vectors` gives, in batches by id."""
    cursor = connection.execute(_VECTORS_BETWEEN, (generation_id, first, _end(last)))
    while rows := cursor.fetchmany(BATCH):
        yield _to_arrays(rows, dimension)


def read_vectors_of(
    connection: sqlite3.Connection, chunk_ids: Sequence[int] | IntArray, dimension: int
) -> tuple[IntArray, FloatArray]:
    """Ids and vectors of these chunks, by id, in one query; chunks that are gone are left out."""
    if len(chunk_ids) == 0:
        return np.empty(0, np.int64), np.empty((0, dimension), np.float32)
    rows = connection.execute(_VECTORS_OF, {"wanted": bind_ids(chunk_ids)}).fetchall()
    return _to_arrays(rows, dimension)


def _end(last: int | None) -> int:
    return _HIGHEST_ID if last is None else last


def _to_arrays(rows: Sequence[tuple[Any, ...]], dimension: int) -> tuple[IntArray, FloatArray]:
    ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    return ids, from_bytes([row[1] for row in rows], dimension)


def embedded_chunk_ids(
    connection: sqlite3.Connection, generation_id: int, *, first: int, last: int | None = None
) -> IntArray:
    """Ids of the chunks from `first` to `last` that have a vector, by id."""
    ids = column(connection, _IDS_BETWEEN, (generation_id, first, _end(last)))
    return np.array(ids, dtype=np.int64)


def count_chunks(
    connection: sqlite3.Connection, generation_id: int, *, first: int = 0, last: int | None = None
) -> int:
    """Number of chunks of a generation with ids from `first` to `last`."""
    return int(scalar(connection, _COUNT_BETWEEN, (generation_id, first, _end(last))))
