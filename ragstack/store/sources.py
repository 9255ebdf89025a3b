"""Sources: which root a file belongs to, and what becomes of roots that overlap.

A file belongs to exactly one source. A folder inside the root of a known folder is part of that source; a
folder around known roots absorbs them, so that roots never overlap and a file is stored once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from ragstack.records import FileStat
from ragstack.store.clock import now
from ragstack.store.models import Failure, Source, StoredDocument

if TYPE_CHECKING:
    from ragstack.store.database import AnyRow

FOLDER = "folder"
FILES = "files"
TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path lies: its source (None: not known yet), that source's root, and the path within it.

    `prefix` is empty for the root itself.
    """

    source_id: int | None
    kind: str
    root: str
    prefix: str


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the store remembers of a file that it holds."""

    document_id: int
    path: str
    content_hash: str
    stat: FileStat
    read_at_ns: int
    reader: str
    reader_version: int
    stale_reason: str | None


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """What the store remembers of a file that could not be read."""

    path: str
    reason: str
    stat: FileStat
    reader: str
    reader_version: int


def place_of(connection: Connection, path: str, *, is_folder: bool) -> Place:
    """Where the absolute, resolved `path` (with `/`) belongs, creating nothing."""
    rows = connection.execute(select(Source.id, Source.kind, Source.root)).all()
    folders = [row for row in rows if row.kind == FOLDER and is_within(path, row.root)]
    if folders:
        deepest = max(folders, key=lambda row: len(row.root))
        return Place(deepest.id, FOLDER, deepest.root, relative_to(path, deepest.root))
    if is_folder:
        return Place(None, FOLDER, path, "")
    parent = PurePath(path).parent.as_posix()
    known = next((row.id for row in rows if row.kind == FILES and row.root == parent), None)
    return Place(known, FILES, parent, PurePath(path).name)


def is_within(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies beneath it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def relative_to(path: str, root: str) -> str:
    """`path` as seen from `root`, empty for the root itself."""
    return path[len(root) :].strip("/") if path != root else ""


def ensure_source(connection: Connection, place: Place) -> int:
    """The id of the source at `place`, created if it is new; a new folder absorbs the roots inside it."""
    if place.source_id is not None:
        return place.source_id
    existing = connection.execute(
        select(Source.id).where(Source.kind == place.kind, Source.root == place.root)
    ).scalar()
    if existing is not None:
        return int(existing)
    result = connection.execute(insert(Source).values(kind=place.kind, root=place.root, created_at=now()))
    source_id = int(result.inserted_primary_key[0])  # type: ignore[index] # one row, one key
    if place.kind == FOLDER:
        _absorb(connection, source_id, place.root)
    return source_id


def _absorb(connection: Connection, source_id: int, root: str) -> None:
    """Take over the documents and failures of every source whose root lies within `root`."""
    rows = connection.execute(select(Source.id, Source.kind, Source.root).where(Source.id != source_id)).all()
    for row in rows:
        if row.kind == TEXTS or not is_within(row.root, root):
            continue
        inner = relative_to(row.root, root)
        prefix = f"{inner}/" if inner else ""
        for model in (StoredDocument, Failure):
            taken = select(model.path).where(model.source_id == source_id)
            connection.execute(
                update(model)
                .where(model.source_id == row.id, (prefix + model.path).not_in(taken))
                .values(source_id=source_id, path=prefix + model.path)
            )
        connection.execute(delete(Source).where(Source.id == row.id))


def known_files(connection: Connection, source_id: int, prefix: str) -> dict[str, KnownFile]:
    """The stored files of a source at or beneath `prefix`, by path."""
    columns = (
        StoredDocument.id, StoredDocument.path, StoredDocument.content_hash, StoredDocument.size,
        StoredDocument.mtime_ns, StoredDocument.ctime_ns, StoredDocument.inode, StoredDocument.read_at_ns,
        StoredDocument.reader, StoredDocument.reader_version, StoredDocument.stale_reason,
    )  # fmt: skip
    rows = connection.execute(select(*columns).where(StoredDocument.source_id == source_id)).all()
    return {
        row.path: KnownFile(
            row.id, row.path, row.content_hash, _stat(row), row.read_at_ns, row.reader, row.reader_version,
            row.stale_reason,
        )
        for row in rows
        if not prefix or is_within(row.path, prefix)
    }  # fmt: skip


def known_failures(connection: Connection, source_id: int, prefix: str) -> dict[str, KnownFailure]:
    """The files of a source at or beneath `prefix` that could not be read, by path."""
    rows = connection.execute(select(*Failure.__table__.columns).where(Failure.source_id == source_id)).all()
    return {
        row.path: KnownFailure(row.path, row.reason, _stat(row), row.reader, row.reader_version)
        for row in rows
        if not prefix or is_within(row.path, prefix)
    }


def _stat(row: AnyRow) -> FileStat:
    return FileStat(row.size, row.mtime_ns, row.ctime_ns, row.inode)
