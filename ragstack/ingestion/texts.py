"""Texts that come by name and not from a file: `RAGSystem.add_document` and standard input."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from ragstack.errors import EmbeddingError, LoadingError
from ragstack.ingestion.batch import Committed, DocumentBatch, PendingDocument
from ragstack.ingestion.survey import is_same_reader, title_from_path
from ragstack.loading.readers import document_of, find_reader
from ragstack.records import Document, FileOutcome, FileStat, FileState
from ragstack.store.sources import TEXTS, KnownFile, Place

if TYPE_CHECKING:
    from ragstack.loading.guard import GuardedReaders
    from ragstack.store.protocols import WriteSession

_NAME_DIGITS = 16


def commit_text(
    writer: WriteSession,
    open_batch: Callable[[], DocumentBatch],
    text: str,
    *,
    name: str | None,
    title: str | None,
    metadata: Mapping[str, str],
) -> int:
    """Commit `text` under `name` (its content hash if None), replacing what has that name; returns its id."""
    data = text.encode("utf-8", errors="surrogatepass")
    digest = hashlib.sha256(data).hexdigest()
    path = name or digest[:_NAME_DIGITS]
    source_id = writer.ensure_source(Place(None, TEXTS, "", ""))
    known = writer.known_files(source_id).get(path)
    if known is not None and known.content_hash == digest and title is None and not metadata:
        return known.document_id
    document = _document(text, name, title, metadata)
    committed = _commit(writer, open_batch, _pending(source_id, path, document, digest, len(data), known))
    assert committed.document_id is not None
    return committed.document_id


def commit_bytes(
    writer: WriteSession,
    open_batch: Callable[[], DocumentBatch],
    data: bytes,
    *,
    name: str | None,
    reading: GuardedReaders,
) -> FileOutcome:
    """Commit the content of a file that has no path under `name`, whose ending says its format.

    Without an ending that a reader takes it is plain text. Raises LoadingError when it cannot be read.
    """
    digest = hashlib.sha256(data).hexdigest()
    path = name or digest[:_NAME_DIGITS]
    format_name = path if find_reader(path) is not None else f"{path}.txt"
    source_id = writer.ensure_source(Place(None, TEXTS, "", ""))
    known = writer.known_files(source_id).get(path)
    if (
        known is not None
        and known.content_hash == digest
        and is_same_reader(format_name, known.reader, known.reader_version)
    ):
        return FileOutcome(path, FileState.UNCHANGED)
    document = reading.extract(data, format_name)
    if not document.text.strip():
        raise LoadingError("no text found", hint="pipe a document with at least one word")
    document = replace(document, title=document.title or (title_from_path(name) if name else None))
    committed = _commit(writer, open_batch, _pending(source_id, path, document, digest, len(data), known))
    state = FileState.CHANGED if known is not None else FileState.NEW
    return FileOutcome(path, state, "", len(committed.pending.chunks), committed.embedded)


def _pending(
    source_id: int, path: str, document: Document, digest: str, size: int, known: KnownFile | None
) -> PendingDocument:
    present = time.time_ns()
    return PendingDocument(
        source_id=source_id,
        path=path,
        document=document,
        content_hash=digest,
        stat=FileStat(size=size, mtime_ns=present, ctime_ns=0, inode=0),
        read_at_ns=present,
        replaces=known.document_id if known else None,
    )


def _commit(
    writer: WriteSession, open_batch: Callable[[], DocumentBatch], pending: PendingDocument
) -> Committed:
    with closing(open_batch()) as batch:
        committed = next(iter([*batch.add(pending), *batch.flush()]))
    if committed.document_id is None:
        raise EmbeddingError(committed.failure)
    writer.publish(batch.generation, final=True)
    return committed


def _document(text: str, name: str | None, title: str | None, metadata: Mapping[str, str]) -> Document:
    """Read as the format of the name's suffix if that is one of the text formats, else as plain text."""
    document = document_of(text, name or "")
    found = title or document.title or (title_from_path(name) if name else None)
    return replace(document, title=found, metadata={**document.metadata, **metadata})
