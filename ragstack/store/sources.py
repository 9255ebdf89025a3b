"""Sources: which root a file belongs to, and what the store remembers of the files of one.

A file belongs to exactly one source. A folder inside the root of a known folder is part of that source. What
becomes of roots inside a new folder is decided in `source_changes`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import PurePath

from ragstack.records import FileStat
from ragstack.store.connections import fetch

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


def place_of(connection: sqlite3.Connection, path: str, *, is_folder: bool) -> Place:
    """Where the absolute, resolved `path` (with `/`) belongs, creating nothing."""
    rows = fetch(connection, "SELECT id, kind, root FROM sources")
    folders = [row for row in rows if row["kind"] == FOLDER and is_within(path, row["root"])]
    if folders:
        deepest = max(folders, key=lambda row: len(row["root"]))
        return Place(deepest["id"], FOLDER, deepest["root"], relative_to(path, deepest["root"]))
    if is_folder:
        return Place(None, FOLDER, path, "")
    parent = PurePath(path).parent.as_posix()
    known = next((row["id"] for row in rows if row["kind"] == FILES and row["root"] == parent), None)
    return Place(known, FILES, parent, PurePath(path).name)


def is_within(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies beneath it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def relative_to(path: str, root: str) -> str:
    """`path` as seen from `root`, empty for the root itself."""
    return path[len(root) :].strip("/") if path != root else ""


def known_files(connection: sqlite3.Connection, source_id: int, prefix: str) -> dict[str, KnownFile]:
    """The stored files of a source at or beneath `prefix`, by path."""
    statement = (
        "SELECT id, path, content_hash, read_at_ns, reader, reader_version, stale_reason, "
        "size, mtime_ns, ctime_ns, inode FROM documents WHERE source_id = ?"
    )
    return {
        path: KnownFile(document_id, path, content_hash, FileStat(*stat), read_at, reader, version, stale)
        for document_id, path, content_hash, read_at, reader, version, stale, *stat in connection.execute(
            statement, (source_id,)
        )
        if not prefix or is_within(path, prefix)
    }


def known_failures(connection: sqlite3.Connection, source_id: int, prefix: str) -> dict[str, KnownFailure]:
    """The files of a source at or beneath `prefix` that could not be read, by path."""
    statement = (
        "SELECT path, reason, reader, reader_version, size, mtime_ns, ctime_ns, inode "
        "FROM failures WHERE source_id = ?"
    )
    return {
        path: KnownFailure(path, reason, FileStat(*stat), reader, version)
        for path, reason, reader, version, *stat in connection.execute(statement, (source_id,))
        if not prefix or is_within(path, prefix)
    }
