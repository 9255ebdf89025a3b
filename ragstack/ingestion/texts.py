"""Texts that come by name and not from a file: `RAGSystem.add_document` and standard input."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ragstack.errors import EmbeddingError
from ragstack.ingestion.batch import DocumentBatch, PendingDocument
from ragstack.ingestion.survey import title_from_path
from ragstack.loading.readers import document_of
from ragstack.records import Document, FileStat
from ragstack.store.sources import TEXTS, Place

if TYPE_CHECKING:
    from ragstack.store.writer import Writer

_NAME_DIGITS = 16


def commit_text(
    writer: Writer,
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
    present = time.time_ns()
    pending = PendingDocument(
        source_id=source_id,
        path=path,
        document=document,
        content_hash=digest,
        stat=FileStat(size=len(data), mtime_ns=present, ctime_ns=0, inode=0),
        read_at_ns=present,
        replaces=known.document_id if known else None,
    )
    batch = open_batch()
    committed = next(iter([*batch.add(pending), *batch.flush()]))
    if committed.document_id is None:
        raise EmbeddingError(committed.failure)
    writer.publish(batch.generation, final=True)
    return committed.document_id


def _document(text: str, name: str | None, title: str | None, metadata: Mapping[str, str]) -> Document:
    """Read as the format of the name's suffix if that is one of the text formats, else as plain text."""
    document = document_of(text, name or "")
    found = title or document.title or (title_from_path(name) if name else None)
    return replace(document, title=found, metadata={**document.metadata, **metadata})
