"""Publishing: turning the unpublished tail into immutable FAISS files that a manifest row vouches for.

Only a holder of the writer lock may call this. A file is written and synced under a new name first; the row
that names it is committed afterwards, so that a crash in between leaves a stray file and no lie. Segments are
merged geometrically: each vector is rewritten at most about log2(n / PUBLISH_AT) times. How a segment is
built follows its size, see `building`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Engine

from ragstack.store import vectors as faiss_side
from ragstack.store.building import BuiltSegment, build_stored
from ragstack.store.clock import now
from ragstack.store.database import driver
from ragstack.store.failpoints import reached
from ragstack.store.files import make_private_directory, sync_directory, writing_durably
from ragstack.store.index import INDEX_DIRECTORY
from ragstack.store.models import DeadVector, Generation, Segment, StoreInfo
from ragstack.store.stored_vectors import count_chunks

if TYPE_CHECKING:
    from ragstack.records import IntArray
    from ragstack.store.database import AnyRow

MAX_TAIL = 20_000
"""The tail is published when it has grown to this, so that no cold question reads a long one."""

PUBLISH_AT = 512
"""A shorter tail is left unpublished at the end of an ingest: reading it costs a few milliseconds."""

MERGE_FACTOR = 2
"""A segment with at most this many times the new vectors is merged with them.

A million vectors that come 20,000 at a time end in segments of 680,000, 260,000 and 60,000; each vector is
written 3.8 times on the way, and training and filling inverted files costs 2.3 times what building one of a
million does (counting multiplications; factors of 1 and 4 cost 1.8 and 3.9 times): retraining at every merge
is affordable.
"""

QUARANTINE = "quarantine"
"""Folder of the store for index files that were found damaged."""

COMPACT_AT = 0.25
"""A segment with this share of dead vectors is rewritten."""


@dataclass(frozen=True, slots=True)
class _Live:
    """A manifest row and how many of its vectors are not dead."""

    row: AnyRow
    count: int

    @property
    def is_worn(self) -> bool:
        return bool(self.count < (1 - COMPACT_AT) * self.row.vectors)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Rewrite the chunks from `first` to `last` (None: to the end) in place of the segments `merged`."""

    merged: list[_Live]
    first: int
    last: int | None


def publish(engine: Engine, directory: Path, *, generation_id: int, dimension: int, final: bool) -> bool:
    """Publish the tail if it is long enough (`final`: at the end of an ingest), and merge or compact.

    Returns whether anything was published.
    """
    with engine.connect() as connection:
        plan = _plan(connection, generation_id, final=final)
    if plan is None:
        return False
    _carry_out(engine, directory, generation_id, dimension, plan)
    return True


def _carry_out(engine: Engine, directory: Path, generation_id: int, dimension: int, plan: _Plan) -> None:
    with engine.connect() as connection:
        reading = driver(connection)
        built = build_stored(reading, generation_id, dimension, first=plan.first, last=plan.last)
    row = None
    if built is not None:
        row = _write_segment(directory, built) | {
            "generation_id": generation_id,
            "first_chunk_id": plan.first,
            "last_chunk_id": max(
                [int(built.segment.ids[-1]), *(live.row.last_chunk_id for live in plan.merged)]
            ),
        }
    _record(engine, directory, generation_id, plan, row)


def _plan(connection: Connection, generation_id: int, *, final: bool) -> _Plan | None:
    """Which ids to publish anew, or None when nothing is due."""
    segments = _live_segments(connection, generation_id)
    covered = max((live.row.last_chunk_id for live in segments), default=0)
    tail = count_chunks(driver(connection), generation_id, first=covered + 1)
    due = MAX_TAIL if not final else PUBLISH_AT if segments else 1
    if tail >= due:
        merged = _to_merge(segments, tail)
        return _Plan(merged, merged[0].row.first_chunk_id if merged else covered + 1, None)
    worn = next((live for live in segments if live.is_worn), None)
    return _Plan([worn], worn.row.first_chunk_id, worn.row.last_chunk_id) if worn and final else None


def _to_merge(segments: list[_Live], tail: int) -> list[_Live]:
    """The newest segments that the new vectors outgrow, in the order of their ids."""
    merged: list[_Live] = []
    total = tail
    for live in reversed(segments):
        if not live.is_worn and live.count > MERGE_FACTOR * total:
            break
        merged.insert(0, live)
        total += live.count
    return merged


def _write_segment(directory: Path, built: BuiltSegment) -> dict[str, object]:
    """Write the file of a segment; returns what the manifest says of the file itself."""
    name = f"{uuid.uuid4().hex}.faiss"
    make_private_directory(directory / INDEX_DIRECTORY)
    with writing_durably(directory / INDEX_DIRECTORY / name) as file:
        faiss_side.serialize(built.segment, file.write)
    return {
        "file": name,
        "bytes": file.size,
        "sha256": file.sha256,
        "kind": built.segment.kind,
        "vectors": built.segment.count,
        "details": json.dumps(built.details),
        "created_at": now(),
        "retired_at": None,
    }


def _live_segments(connection: Connection, generation_id: int) -> list[_Live]:
    rows = connection.execute(
        select(*Segment.__table__.columns)
        .where(Segment.generation_id == generation_id, Segment.retired_at.is_(None))
        .order_by(Segment.first_chunk_id)
    ).all()
    dead = connection.execute(
        select(DeadVector.chunk_id).where(DeadVector.generation_id == generation_id)
    ).scalars()
    dead_ids = np.sort(np.fromiter(dead, dtype=np.int64))
    return [_Live(row, row.vectors - _count_within(dead_ids, row)) for row in rows]


def _count_within(ids: IntArray, row: AnyRow) -> int:
    first, last = np.searchsorted(ids, [row.first_chunk_id, row.last_chunk_id + 1])
    return int(last - first)


def _record(
    engine: Engine, directory: Path, generation_id: int, plan: _Plan, row: dict[str, object] | None
) -> None:
    """One transaction: the new manifest row in, the merged ones retired, their dead vectors forgotten."""
    with engine.begin() as connection:
        retired = Segment.retired_at.is_not(None)
        expired = connection.execute(select(Segment.file).where(retired)).scalars().all()
        connection.execute(delete(Segment).where(retired))
        for live in plan.merged:
            connection.execute(update(Segment).where(Segment.id == live.row.id).values(retired_at=now()))
            connection.execute(
                delete(DeadVector).where(
                    DeadVector.generation_id == generation_id,
                    DeadVector.chunk_id.between(live.row.first_chunk_id, live.row.last_chunk_id),
                )
            )
        if row is not None:
            connection.execute(insert(Segment).values(**row))
        connection.execute(update(StoreInfo).values(sequence=StoreInfo.sequence + 1))
        reached("manifest written")
    reached("manifest committed")
    _delete_files(directory, expired)


def _delete_files(directory: Path, names: Iterable[str]) -> None:
    for name in names:
        (directory / INDEX_DIRECTORY / name).unlink(missing_ok=True)
        reached("expired index file deleted")


def published_files(engine: Engine) -> list[tuple[str, int]]:
    """Name and size in bytes of every index file that is searched."""
    with engine.connect() as connection:
        rows = connection.execute(select(Segment.file, Segment.bytes).where(Segment.retired_at.is_(None)))
        return [(row[0], row[1]) for row in rows]


def rebuild(engine: Engine, directory: Path, file: str) -> None:
    """Make a published segment anew from the vectors in the database, over the same range of ids."""
    with engine.connect() as connection:
        row = connection.execute(
            select(*Segment.__table__.columns, Generation.dimension)
            .join(Generation, Generation.id == Segment.generation_id)
            .where(Segment.file == file)
        ).first()
    if row is None or row.retired_at is not None:
        remove_retired(engine, directory)
        return
    plan = _Plan([_Live(row, row.vectors)], row.first_chunk_id, row.last_chunk_id)
    _carry_out(engine, directory, row.generation_id, row.dimension, plan)
    quarantine(directory, file)
    remove_retired(engine, directory)


def rewrite_all(engine: Engine, directory: Path, generation_id: int) -> None:
    """Publish everything of a generation as one new segment without dead vectors."""
    with engine.connect() as connection:
        live = _live_segments(connection, generation_id)
        dimension = connection.execute(
            select(Generation.dimension).where(Generation.id == generation_id)
        ).scalar_one()
    _carry_out(engine, directory, generation_id, dimension, _Plan(live, 0, None))


def quarantine(directory: Path, file: str) -> None:
    """Set a damaged index file aside under a name that nothing reads."""
    path = directory / INDEX_DIRECTORY / file
    if path.exists():
        folder = directory / QUARANTINE
        make_private_directory(folder)
        path.replace(folder / file)
        reached("index file set aside")
        sync_directory(folder)


def remove_retired(engine: Engine, directory: Path) -> None:
    """Forget the segments that were merged into others, and delete their files."""
    with engine.begin() as connection:
        retired = Segment.retired_at.is_not(None)
        files = connection.execute(select(Segment.file).where(retired)).scalars().all()
        connection.execute(delete(Segment).where(retired))
    reached("retired segments forgotten")
    _delete_files(directory, files)


def remove_strays(engine: Engine, directory: Path) -> list[str]:
    """Delete index files that no manifest row names (left by a crash); returns their names."""
    folder = directory / INDEX_DIRECTORY
    if not folder.is_dir():
        return []
    with engine.connect() as connection:
        named = set(connection.execute(select(Segment.file)).scalars())
    strays = [path for path in folder.glob("*.faiss") if path.name not in named]
    for path in strays:
        path.unlink(missing_ok=True)
        reached("stray index file deleted")
    if strays:
        sync_directory(folder)
    return [path.name for path in strays]
