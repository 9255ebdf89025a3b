"""Making a whole new index from the stored texts: another embedder, or other chunker settings.

The new generation is built beside the one that is searched, a document at a time, and takes its place at the
end in one transaction. An interruption loses at most the documents of one batch; running it again continues.
No file is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING

from ragstack.errors import EmbeddingError
from ragstack.ingestion.batch import Committed, DocumentBatch, PendingDocument
from ragstack.ingestion.observer import IngestObserver
from ragstack.records import ChunkerSettings, Embedder, FileOutcome, FileStat, FileState

if TYPE_CHECKING:
    from ragstack.records import FloatArray
    from ragstack.store.protocols import ReadSession, WriteSession

_NO_STAT = FileStat(size=0, mtime_ns=0, ctime_ns=0, inode=0)


def reembed(
    writer: WriteSession,
    read: Callable[[], AbstractContextManager[ReadSession]],
    embedder: Embedder,
    settings: ChunkerSettings,
    probe: FloatArray,
    observer: IngestObserver,
) -> int:
    """Build the generation of `embedder` and `settings` and switch to it; returns its number of documents.

    Raises EmbeddingError, and switches nothing, when a document cannot be embedded.
    """
    generation = writer.begin_generation(embedder.fingerprint, settings, probe)
    waiting = writer.documents_without_chunks(generation)
    observer.started(len(waiting))

    def commit(pending: PendingDocument, vectors: FloatArray) -> int:
        assert pending.replaces is not None
        writer.put_chunks(pending.replaces, pending.document.title, pending.chunks, vectors, generation)
        return pending.replaces

    batch = DocumentBatch(writer, embedder, generation, observer.embedded, commit)
    with closing(batch):
        for document_id in waiting:
            with read() as snapshot:
                pending = _pending(snapshot, document_id)
            _report(batch.add(pending), observer)
        _report(batch.flush(), observer)
    writer.publish(generation, final=True)
    writer.switch_generation(generation)
    return len(waiting)


def _pending(snapshot: ReadSession, document_id: int) -> PendingDocument:
    info = snapshot.document_info(document_id)
    return PendingDocument(
        source_id=info.source_id,
        path=info.path,
        document=snapshot.document(document_id),
        content_hash=info.content_hash,
        stat=_NO_STAT,
        read_at_ns=0,
        replaces=document_id,
    )


def _report(committed: Iterator[Committed], observer: IngestObserver) -> None:
    for done in committed:
        if done.failure:
            raise EmbeddingError(
                f"`{done.pending.path}` cannot be embedded: {done.failure}",
                hint="the old index stays in use; remove the document or choose another model",
            )
        outcome = FileOutcome(
            done.pending.path, FileState.CHANGED, "", len(done.pending.chunks), done.embedded
        )
        observer.file_done(outcome)
