"""Reading vectors from SQLite, where they are kept for good: by range, by id, and in batches.

Not responsible for searching them. Vectors come as arrays of shape (n, dimension) with their chunk ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection

from ragstack.store.database import bind_ids, ids_in
from ragstack.store.models import ChunkRow, VectorRow
from ragstack.store.vectors import from_bytes

if TYPE_CHECKING:
    from ragstack.records import FloatArray, IntArray
    from ragstack.store.database import AnyRow

BATCH = 8_192
"""Vectors that are in memory at once where all are read: 13 MB at 384 dimensions."""


def read_vectors(
    connection: Connection, generation_id: int, dimension: int, *, first: int, last: int | None = None
) -> tuple[IntArray, FloatArray]:
    """Ids, shape (n,), and vectors, shape (n, dimension), of the chunks from `first` to `last`, by id."""
    statement = _vectors_between(generation_id, first, last)
    return _to_arrays(connection.execute(statement).all(), dimension)


def vector_batches(
    connection: Connection, generation_id: int, dimension: int, *, first: int, last: int | None = None
) -> Iterator[tuple[IntArray, FloatArray]]:
    """What `read_vectors` gives, in batches by id."""
    statement = _vectors_between(generation_id, first, last)
    for rows in connection.execute(statement).partitions(BATCH):
        yield _to_arrays(rows, dimension)


def _vectors_between(generation_id: int, first: int, last: int | None) -> Select[int, bytes]:
    statement = (
        select(ChunkRow.id, VectorRow.vector)
        .join(VectorRow, VectorRow.chunk_id == ChunkRow.id)
        .where(ChunkRow.generation_id == generation_id, ChunkRow.id >= first)
        .order_by(ChunkRow.id)
    )
    return statement if last is None else statement.where(ChunkRow.id <= last)


def read_vectors_of(
    connection: Connection, chunk_ids: Sequence[int] | IntArray, dimension: int
) -> tuple[IntArray, FloatArray]:
    """Ids and vectors of these chunks, by id, in one query; chunks that are gone are left out."""
    if len(chunk_ids) == 0:
        return np.empty(0, np.int64), np.empty((0, dimension), np.float32)
    statement = (
        select(VectorRow.chunk_id, VectorRow.vector)
        .where(VectorRow.chunk_id.in_(ids_in("wanted")))
        .order_by(VectorRow.chunk_id)
    )
    return _to_arrays(connection.execute(statement, {"wanted": bind_ids(chunk_ids)}).all(), dimension)


def _to_arrays(rows: Sequence[AnyRow], dimension: int) -> tuple[IntArray, FloatArray]:
    ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    return ids, from_bytes([row[1] for row in rows], dimension)


def embedded_chunk_ids(
    connection: Connection, generation_id: int, *, first: int, last: int | None = None
) -> IntArray:
    """Ids of the chunks from `first` to `last` that have a vector, by id."""
    statement = _vectors_between(generation_id, first, last).with_only_columns(ChunkRow.id)
    return np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)


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
