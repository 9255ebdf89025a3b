"""What a store holds, for people who look inside: documents, sources, failures, segments, the last change.

Only counts and names; texts and searching belong to `snapshot`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragstack.errors import NotInStoreError
from ragstack.records import SelectedDocument
from ragstack.store.connections import IDS_IN, bind_ids, decoding, fetch, fetch_one, scalar


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document without its text. `chunks` and `tokens` are those of the asked generation."""

    document_id: int
    source_id: int
    source_kind: str
    root: str
    path: str
    title: str | None
    media_type: str
    content_hash: str
    text_hash: str
    characters: int
    lines: int
    lines_are_original: bool
    reader: str
    reader_version: int
    size: int
    mtime_ns: int
    ingested_at: str
    stale_reason: str | None
    chunks: int
    tokens: int


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source and how many documents, stale documents and failed files it has."""

    source_id: int
    kind: str
    root: str
    created_at: str
    documents: int
    stale: int
    failures: int


@dataclass(frozen=True, slots=True)
class FailureInfo:
    """A file that could not be read, and why."""

    root: str
    path: str
    reason: str
    failed_at: str


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A published index file; `dead` of its `vectors` vectors are masked.

    `details` is what `building.RecallCheck` says of an approximate one: lists, probes, recall_at_10 and more.
    """

    file: str
    kind: str
    bytes: int
    vectors: int
    dead: int
    first_chunk_id: int
    last_chunk_id: int
    created_at: str
    details: Mapping[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes on disk by part."""

    database: int
    write_ahead_log: int
    index: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.database + self.write_ahead_log + self.index


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The last ingest that changed something."""

    started_at: str
    finished_at: str
    summary: Mapping[str, int]


_DOCUMENTS = """
    SELECT d.id AS document_id, d.source_id, s.kind AS source_kind, s.root, d.path, d.title, d.media_type,
        d.content_hash, d.text_hash, d.characters, d.lines, d.lines_are_original, d.reader, d.reader_version,
        d.size, d.mtime_ns, d.ingested_at, d.stale_reason,
        coalesce(counts.chunks, 0) AS chunks, coalesce(counts.tokens, 0) AS tokens
    FROM documents d JOIN sources s ON s.id = d.source_id
    LEFT JOIN (
        SELECT document_id, count(*) AS chunks, sum(tokens) AS tokens
        FROM chunks WHERE generation_id = :generation {} GROUP BY document_id
    ) counts ON counts.document_id = d.id
"""
_ALL_DOCUMENTS = f"{_DOCUMENTS.format('')} ORDER BY s.root, d.path"
_ONE_DOCUMENT = f"{_DOCUMENTS.format('AND document_id = :document')} WHERE d.id = :document"

_SELECTED = """
    SELECT d.id AS document_id, d.path, d.title, d.characters, d.content_hash
    FROM documents d JOIN sources s ON s.id = d.source_id {} ORDER BY s.root, d.path
"""

_SOURCES = """
    SELECT s.id, s.kind, s.root, s.created_at,
        (SELECT count(*) FROM documents d WHERE d.source_id = s.id),
        (SELECT count(*) FROM documents d WHERE d.source_id = s.id AND d.stale_reason IS NOT NULL),
        (SELECT count(*) FROM failures f WHERE f.source_id = s.id)
    FROM sources s ORDER BY s.kind, s.root
"""

_FAILURES = """
    SELECT s.root, f.path, f.reason, f.failed_at
    FROM failures f JOIN sources s ON s.id = f.source_id ORDER BY s.root, f.path
"""

_SEGMENTS = """
    SELECT s.file, s.kind, s.bytes, s.vectors, s.first_chunk_id, s.last_chunk_id, s.created_at, s.details, (
        SELECT count(*) FROM dead_vectors v WHERE v.generation_id = s.generation_id
        AND v.chunk_id BETWEEN s.first_chunk_id AND s.last_chunk_id
    ) AS dead
    FROM segments s WHERE s.generation_id = ? AND s.retired_at IS NULL ORDER BY s.first_chunk_id
"""

_UNPUBLISHED = """
    SELECT count(*) FROM chunks WHERE generation_id = :generation AND id > (
        SELECT coalesce(max(last_chunk_id), 0) FROM segments
        WHERE generation_id = :generation AND retired_at IS NULL
    )
"""


def _document_info(row: sqlite3.Row) -> DocumentInfo:
    values = {name: row[name] for name in DocumentInfo.__slots__}
    return DocumentInfo(**(values | {"lines_are_original": bool(values["lines_are_original"])}))


def documents(connection: sqlite3.Connection, generation_id: int) -> list[DocumentInfo]:
    """Every document, by root and path."""
    return [_document_info(row) for row in fetch(connection, _ALL_DOCUMENTS, {"generation": generation_id})]


def selected_documents(connection: sqlite3.Connection, ids: Sequence[int] | None) -> list[SelectedDocument]:
    """The documents of these ids, all for None, by root and path."""
    if ids is None:
        rows = fetch(connection, _SELECTED.format(""))
    else:
        wanted = {"wanted": bind_ids(ids)}
        rows = fetch(connection, _SELECTED.format(f"WHERE d.id {IDS_IN.format('wanted')}"), wanted)
    return [SelectedDocument(**{name: row[name] for name in SelectedDocument.__slots__}) for row in rows]


def document(connection: sqlite3.Connection, generation_id: int, document_id: int) -> DocumentInfo:
    """One document; NotInStoreError if there is none of this id."""
    row = fetch_one(connection, _ONE_DOCUMENT, {"generation": generation_id, "document": document_id})
    if row is None:
        raise NotInStoreError(
            f"there is no document {document_id} in the store",
            hint="run `ragstack inspect documents` to list what is there",
        )
    return _document_info(row)


def find_document(connection: sqlite3.Connection, name: str) -> int:
    """The id of the document whose file or name is `name`; NotInStoreError unless there is exactly one."""
    absolute = Path(name).expanduser().absolute().as_posix()
    rows = connection.execute(
        "SELECT d.id, d.path, s.root FROM documents d JOIN sources s ON s.id = d.source_id"
    ).fetchall()
    exact = [number for number, path, root in rows if root and f"{root.rstrip('/')}/{path}" == absolute]
    found = exact or [number for number, path, _ in rows if path == name]
    if len(found) == 1:
        return int(found[0])
    several = f"{len(found)} documents are" if found else "no document is"
    raise NotInStoreError(
        f"{several} called `{name}`", hint="run `ragstack inspect documents` and name it by its id"
    )


def sources(connection: sqlite3.Connection) -> list[SourceInfo]:
    """Every source, by kind and root."""
    return [SourceInfo(*row) for row in connection.execute(_SOURCES)]


def failures(connection: sqlite3.Connection) -> list[FailureInfo]:
    """Every file that could not be read, by root and path."""
    return [FailureInfo(*row) for row in connection.execute(_FAILURES)]


def segments(connection: sqlite3.Connection, generation_id: int) -> list[SegmentInfo]:
    """The published segments of a generation, oldest ids first."""
    rows = fetch(connection, _SEGMENTS, (generation_id,))
    with decoding("the manifest of an index file"):
        return [SegmentInfo(**{**row, "details": json.loads(row["details"])}) for row in rows]


def unpublished(connection: sqlite3.Connection, generation_id: int) -> int:
    """Number of chunks of a generation that no published segment covers yet."""
    return int(scalar(connection, _UNPUBLISHED, {"generation": generation_id}))


def repeated(connection: sqlite3.Connection, generation_id: int) -> int:
    """Number of chunks of a generation whose embedded input an earlier chunk has, too."""
    statement = "SELECT count(*) - count(DISTINCT input_hash) FROM chunks WHERE generation_id = ?"
    return int(scalar(connection, statement, (generation_id,)))


def last_run(connection: sqlite3.Connection) -> RunInfo | None:
    """The last ingest that changed something, if there was one."""
    row = fetch_one(
        connection, "SELECT started_at, finished_at, summary FROM ingest_runs ORDER BY id DESC LIMIT 1"
    )
    return RunInfo(row[0], row[1], json.loads(row[2])) if row else None
