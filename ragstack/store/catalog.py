"""What a store holds, for people who look inside: documents, sources, failures, segments, the last change.

Only counts and names; texts and searching belong to `snapshot`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection

from ragstack.errors import NotInStoreError
from ragstack.records import SelectedDocument
from ragstack.store.database import bind_ids, decoding, ids_in
from ragstack.store.models import ChunkRow, DeadVector, Failure, IngestRun, Segment, Source, StoredDocument

if TYPE_CHECKING:
    from ragstack.store.database import AnyRow


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


def _documents(generation_id: int) -> Select[*tuple[object, ...]]:
    counts = (
        select(
            ChunkRow.document_id,
            func.count().label("chunks"),
            func.sum(ChunkRow.tokens).label("tokens"),
        )
        .where(ChunkRow.generation_id == generation_id)
        .group_by(ChunkRow.document_id)
        .subquery()
    )
    return (
        select(
            StoredDocument.id.label("document_id"),
            *(
                column
                for column in StoredDocument.__table__.columns
                if column.name in DocumentInfo.__dataclass_fields__
            ),
            Source.kind.label("source_kind"),
            Source.root,
            func.coalesce(counts.c.chunks, 0).label("chunks"),
            func.coalesce(counts.c.tokens, 0).label("tokens"),
        )
        .join(Source, Source.id == StoredDocument.source_id)
        .outerjoin(counts, counts.c.document_id == StoredDocument.id)
    )


def _document_info(row: AnyRow) -> DocumentInfo:
    return DocumentInfo(**row._mapping)


def documents(connection: Connection, generation_id: int) -> list[DocumentInfo]:
    """Every document, by root and path."""
    statement = _documents(generation_id).order_by(Source.root, StoredDocument.path)
    return [_document_info(row) for row in connection.execute(statement)]


def selected_documents(connection: Connection, ids: Sequence[int] | None) -> list[SelectedDocument]:
    """The documents of these ids, all for None, by root and path."""
    columns = ("path", "title", "characters", "content_hash")
    statement = (
        select(StoredDocument.id.label("document_id"), *(getattr(StoredDocument, name) for name in columns))
        .join(Source, Source.id == StoredDocument.source_id)
        .order_by(Source.root, StoredDocument.path)
    )
    if ids is None:
        rows = connection.execute(statement)
    else:
        rows = connection.execute(
            statement.where(StoredDocument.id.in_(ids_in("wanted"))), {"wanted": bind_ids(ids)}
        )
    return [SelectedDocument(**row._mapping) for row in rows]


def document(connection: Connection, generation_id: int, document_id: int) -> DocumentInfo:
    """One document; NotInStoreError if there is none of this id."""
    row = connection.execute(_documents(generation_id).where(StoredDocument.id == document_id)).first()
    if row is None:
        raise NotInStoreError(
            f"there is no document {document_id} in the store",
            hint="run `ragstack inspect documents` to list what is there",
        )
    return _document_info(row)


def find_document(connection: Connection, name: str) -> int:
    """The id of the document whose file or name is `name`; NotInStoreError unless there is exactly one."""
    absolute = Path(name).expanduser().absolute().as_posix()
    rows = connection.execute(
        select(StoredDocument.id, StoredDocument.path, Source.root).join(
            Source, Source.id == StoredDocument.source_id
        )
    ).all()
    exact = [row.id for row in rows if row.root and f"{row.root.rstrip('/')}/{row.path}" == absolute]
    found = exact or [row.id for row in rows if row.path == name]
    if len(found) == 1:
        return int(found[0])
    several = f"{len(found)} documents are" if found else "no document is"
    raise NotInStoreError(
        f"{several} called `{name}`", hint="run `ragstack inspect documents` and name it by its id"
    )


def sources(connection: Connection) -> list[SourceInfo]:
    """Every source, by kind and root."""
    held = select(func.count()).where(StoredDocument.source_id == Source.id)
    rows = connection.execute(
        select(
            Source.id,
            Source.kind,
            Source.root,
            Source.created_at,
            held.scalar_subquery(),
            held.where(StoredDocument.stale_reason.is_not(None)).scalar_subquery(),
            select(func.count()).where(Failure.source_id == Source.id).scalar_subquery(),
        ).order_by(Source.kind, Source.root)
    )
    return [SourceInfo(*row) for row in rows]


def failures(connection: Connection) -> list[FailureInfo]:
    """Every file that could not be read, by root and path."""
    rows = connection.execute(
        select(Source.root, Failure.path, Failure.reason, Failure.failed_at)
        .join(Source, Source.id == Failure.source_id)
        .order_by(Source.root, Failure.path)
    )
    return [FailureInfo(*row) for row in rows]


def segments(connection: Connection, generation_id: int) -> list[SegmentInfo]:
    """The published segments of a generation, oldest ids first."""
    dead = (
        select(func.count())
        .where(
            DeadVector.generation_id == Segment.generation_id,
            DeadVector.chunk_id >= Segment.first_chunk_id,
            DeadVector.chunk_id <= Segment.last_chunk_id,
        )
        .scalar_subquery()
    )
    rows = connection.execute(
        select(
            Segment.file, Segment.kind, Segment.bytes, Segment.vectors, dead.label("dead"),
            Segment.first_chunk_id, Segment.last_chunk_id, Segment.created_at, Segment.details,
        )
        .where(Segment.generation_id == generation_id, Segment.retired_at.is_(None))
        .order_by(Segment.first_chunk_id)
    )  # fmt: skip
    with decoding("the manifest of an index file"):
        return [SegmentInfo(**{**row._mapping, "details": json.loads(row.details)}) for row in rows]


def unpublished(connection: Connection, generation_id: int) -> int:
    """Number of chunks of a generation that no published segment covers yet."""
    covered = select(func.coalesce(func.max(Segment.last_chunk_id), 0)).where(
        Segment.generation_id == generation_id, Segment.retired_at.is_(None)
    )
    waiting = select(func.count()).where(
        ChunkRow.generation_id == generation_id, ChunkRow.id > covered.scalar_subquery()
    )
    return int(connection.execute(waiting).scalar_one())


def repeated(connection: Connection, generation_id: int) -> int:
    """Number of chunks of a generation whose embedded input an earlier chunk has, too."""
    counted = select(func.count() - func.count(ChunkRow.input_hash.distinct())).where(
        ChunkRow.generation_id == generation_id
    )
    return int(connection.execute(counted).scalar_one())


def last_run(connection: Connection) -> RunInfo | None:
    """The last ingest that changed something, if there was one."""
    row = connection.execute(
        select(IngestRun.started_at, IngestRun.finished_at, IngestRun.summary)
        .order_by(IngestRun.id.desc())
        .limit(1)
    ).first()
    return RunInfo(row[0], row[1], json.loads(row[2])) if row else None
