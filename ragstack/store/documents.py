"""Rows of one document: how its text, structure, chunks and vectors are written and deleted.

Not responsible for transactions: every function runs inside the one that its caller began, so that a document
is committed whole or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from ragstack.records import Chunk, Document, FileStat
from ragstack.store import fulltext, integrity
from ragstack.store.clock import now
from ragstack.store.connections import bind_ids
from ragstack.store.database import driver, ids_in, last_id
from ragstack.store.elements import elements_to_json
from ragstack.store.models import (
    ChunkRow,
    DeadVector,
    DocumentMetadata,
    DocumentStructure,
    Segment,
    StoredDocument,
    StoredLandmark,
    TextBlock,
    VectorRow,
)
from ragstack.store.vectors import to_bytes

if TYPE_CHECKING:
    from ragstack.records import FloatArray

BLOCK_CHARACTERS = 8_192
"""Text is kept in blocks of this size, so that a span of a large document is read without the rest."""


@dataclass(frozen=True, slots=True)
class IncomingDocument:
    """A document ready to be committed: where it belongs, its text, its chunks and their vectors.

    `vectors` has shape (len(chunks), dimension). `read_at_ns` is when the file was read, by the clock that
    also stamps files.
    """

    source_id: int
    path: str
    document: Document
    content_hash: str
    stat: FileStat
    read_at_ns: int
    chunks: Sequence[Chunk]
    vectors: FloatArray


_DESCRIPTION = (
    (
        "SELECT title, media_type, text_hash, lines, lines_are_original, reader, reader_version "
        "FROM documents WHERE id = ?"
    ),
    "SELECT key, value FROM document_metadata WHERE document_id = ? ORDER BY key",
    "SELECT elements FROM document_structures WHERE document_id = ?",
    "SELECT start, kind, label FROM landmarks WHERE document_id = ? ORDER BY start",
    "SELECT start, first_line FROM text_blocks WHERE document_id = ? ORDER BY start",
)
"""What describes a document, in the order of its checksum."""

_LINES_ARE_ORIGINAL = 4


def put_document(
    connection: Connection, incoming: IncomingDocument, *, generation_id: int, replaces: int | None
) -> int:
    """Write a document whole, in place of the document `replaces`, whose id it keeps; returns the id."""
    values = _document_values(incoming)
    if replaces is None:
        result = connection.execute(insert(StoredDocument).values(**values))
        document_id = int(result.inserted_primary_key[0])  # type: ignore[index] # one row, one key
    else:
        document_id = replaces
        _delete_contents(connection, [document_id])
        connection.execute(update(StoredDocument).where(StoredDocument.id == document_id).values(**values))
    _insert_text(connection, document_id, incoming.document)
    insert_chunks(
        connection,
        document_id=document_id,
        generation_id=generation_id,
        title=incoming.document.title,
        chunks=incoming.chunks,
        vectors=incoming.vectors,
    )
    seal(connection, document_id)
    return document_id


def seal(connection: Connection, document_id: int) -> None:
    """Note the checksum of what describes a document, as it is now."""
    connection.execute(
        update(StoredDocument)
        .where(StoredDocument.id == document_id)
        .values(checksum=checksum_of(driver(connection), document_id))
    )


def checksum_of(connection: sqlite3.Connection, document_id: int) -> bytes:
    """The checksum of what describes a document: its row, metadata, structure, landmarks, line numbers."""
    parts = [[list(row) for row in connection.execute(part, (document_id,))] for part in _DESCRIPTION]
    for row in parts[0]:
        row[_LINES_ARE_ORIGINAL] = bool(row[_LINES_ARE_ORIGINAL])  # which SQLite keeps as a number
    return integrity.description_checksum(parts)


def _document_values(incoming: IncomingDocument) -> dict[str, Any]:
    document = incoming.document
    return {
        "source_id": incoming.source_id,
        "path": incoming.path,
        "title": document.title,
        "media_type": document.media_type,
        "content_hash": incoming.content_hash,
        "text_hash": integrity.text_hash(document.text),
        "characters": len(document.text),
        "lines": document.text.count("\n") + 1,
        "lines_are_original": document.lines_are_original,
        "reader": document.reader,
        "reader_version": document.reader_version,
        **asdict(incoming.stat),
        "read_at_ns": incoming.read_at_ns,
        "ingested_at": now(),
        "stale_reason": None,
        "checksum": b"",  # set once everything that it covers is there
    }


def _insert_text(connection: Connection, document_id: int, document: Document) -> None:
    blocks, line = [], 1
    for start in range(0, len(document.text), BLOCK_CHARACTERS):
        body = document.text[start : start + BLOCK_CHARACTERS]
        blocks.append(
            {
                "document_id": document_id,
                "start": start,
                "end": start + len(body),
                "first_line": line,
                "text": body,
            }
        )
        line += body.count("\n")
    _insert_all(connection, TextBlock, blocks)
    landmarks = {mark.start: mark for mark in document.landmarks}  # of two at one place the later holds
    _insert_all(
        connection,
        StoredLandmark,
        [
            {"document_id": document_id, "start": mark.start, "kind": mark.kind, "label": mark.label}
            for mark in landmarks.values()
        ],
    )
    _insert_all(
        connection,
        DocumentMetadata,
        [
            {"document_id": document_id, "key": key, "value": value}
            for key, value in document.metadata.items()
        ],
    )
    structure = {"document_id": document_id, "elements": elements_to_json(document.elements)}
    _insert_all(connection, DocumentStructure, [structure])


def _insert_all(connection: Connection, model: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(model), rows)


def insert_chunks(
    connection: Connection,
    *,
    document_id: int,
    generation_id: int,
    title: str | None,
    chunks: Sequence[Chunk],
    vectors: FloatArray,
) -> None:
    """Write the chunks of a document in one generation, with vectors and full-text rows."""
    if len(chunks) != len(vectors):
        raise ValueError(f"{len(chunks)} chunks but {len(vectors)} vectors")
    first_id = last_id(connection, "chunks") + 1
    chunk_rows, vector_rows, search_rows = [], [], []
    for position, (chunk, row) in enumerate(zip(chunks, vectors, strict=True)):
        chunk_id, vector = first_id + position, to_bytes(row)
        vector_rows.append({"chunk_id": chunk_id, "vector": vector})
        search_rows.append((chunk_id, chunk.text, fulltext.searchable_headings(title, chunk.headings)))
        values = {
            "id": chunk_id,
            "generation_id": generation_id,
            "document_id": document_id,
            "position": position,
            "start": chunk.start,
            "end": chunk.end,
            "tokens": chunk.tokens,
            "headings": fulltext.headings_to_json(chunk.headings),
            "context": chunk.context,
            "input_hash": integrity.input_hash(chunk.embedding_text),
        }
        checksum = integrity.chunk_checksum(values, chunk.text, vector)
        chunk_rows.append({**values, "checksum": checksum})
    _insert_all(connection, ChunkRow, chunk_rows)
    _insert_all(connection, VectorRow, vector_rows)
    fulltext.insert_rows(driver(connection), search_rows)


def delete_chunks(connection: Connection, chunk_ids: Sequence[int]) -> None:
    """Delete chunks with their vectors and full-text rows; their vectors in segments are masked."""
    bound = {"gone": bind_ids(chunk_ids)}
    statement = select(ChunkRow.id, ChunkRow.generation_id).where(ChunkRow.id.in_(ids_in("gone")))
    _mask(connection, [(row[0], row[1]) for row in connection.execute(statement, bound)])
    fulltext.delete_rows(driver(connection), chunk_ids)
    connection.execute(delete(ChunkRow).where(ChunkRow.id.in_(ids_in("gone"))), bound)


def delete_documents(connection: Connection, document_ids: Iterable[int]) -> None:
    """Delete documents with everything that belongs to them; their vectors in segments are masked."""
    ids = list(document_ids)
    _delete_contents(connection, ids)
    connection.execute(
        delete(StoredDocument).where(StoredDocument.id.in_(ids_in("gone"))), {"gone": bind_ids(ids)}
    )


def _delete_contents(connection: Connection, document_ids: list[int]) -> None:
    """Delete all that belongs to documents but their own rows."""
    bound = {"owners": bind_ids(document_ids)}
    owned = ids_in("owners")
    rows = connection.execute(
        select(ChunkRow.id, ChunkRow.generation_id).where(ChunkRow.document_id.in_(owned)), bound
    ).all()
    _mask(connection, [(row[0], row[1]) for row in rows])
    fulltext.delete_rows(driver(connection), [row[0] for row in rows])
    for model in (ChunkRow, TextBlock, StoredLandmark, DocumentMetadata, DocumentStructure):
        connection.execute(delete(model).where(model.document_id.in_(owned)), bound)


def _mask(connection: Connection, chunks: list[tuple[int, int]]) -> None:
    """Note the chunks that published segments hold, so that searches leave them out."""
    if not chunks:
        return
    covered: dict[int, int] = {}
    for generation_id, last in connection.execute(
        select(Segment.generation_id, Segment.last_chunk_id).where(Segment.retired_at.is_(None))
    ):
        covered[generation_id] = max(last, covered.get(generation_id, 0))
    dead = [
        {"chunk_id": chunk_id, "generation_id": generation_id}
        for chunk_id, generation_id in chunks
        if chunk_id <= covered.get(generation_id, 0)
    ]
    _insert_all(connection, DeadVector, dead)
