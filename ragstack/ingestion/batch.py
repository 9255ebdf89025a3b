"""Documents on their way into the store: chunked one by one, embedded together, committed one by one.

Equal inputs are embedded once, and never again while the store holds their vector. Not responsible for which
documents come, nor for what becomes of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ragstack.chunking.windows import chunk_document
from ragstack.errors import EmbeddingError
from ragstack.records import Chunk, Document, Embedder, FileStat
from ragstack.store.documents import IncomingDocument
from ragstack.store.integrity import input_hash

if TYPE_CHECKING:
    from ragstack.records import FloatArray
    from ragstack.store.generations import IndexGeneration
    from ragstack.store.writer import Writer

FLUSH_CHUNKS = 256
"""Documents wait for each other until they have this many chunks: batches of one length pad little."""

FLUSH_DOCUMENTS = 256
"""... or until so many wait, so that a folder of tiny files is committed as it goes."""


@dataclass(frozen=True, slots=True)
class PendingDocument:
    """A document that waits for its vectors. `replaces` is the id of the version it takes the place of."""

    source_id: int
    path: str
    document: Document
    content_hash: str
    stat: FileStat
    read_at_ns: int
    replaces: int | None
    chunks: Sequence[Chunk] = ()
    hashes: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a pending document: its id and how many chunks were embedded, or why it failed."""

    pending: PendingDocument
    document_id: int | None
    embedded: int
    failure: str = ""


@dataclass(slots=True)
class DocumentBatch:
    """Collects documents, and embeds and commits them when there are enough of them.

    `commit` is given a document and its vectors, shape (chunks, dimension), and returns the document's id; by
    default it stores the document whole.
    """

    writer: Writer
    embedder: Embedder
    generation: IndexGeneration
    progress: Callable[[int], None]
    commit: Callable[[PendingDocument, FloatArray], int] | None = None
    _waiting: list[PendingDocument] = field(default_factory=list)

    def add(self, pending: PendingDocument) -> Iterator[Committed]:
        """Take a document in; yields the documents that were committed by that, if any."""
        chunks = chunk_document(
            pending.document,
            self.embedder.tokenizer,
            self.generation.settings,
            max_tokens=self.embedder.max_tokens,
            overhead=self.embedder.document_overhead,
        )
        self._waiting.append(
            replace(pending, chunks=chunks, hashes=[input_hash(chunk.embedding_text) for chunk in chunks])
        )
        waiting_chunks = sum(len(waiting.chunks) for waiting in self._waiting)
        if waiting_chunks >= FLUSH_CHUNKS or len(self._waiting) >= FLUSH_DOCUMENTS:
            yield from self.flush()

    def flush(self) -> Iterator[Committed]:
        """Embed and commit everything that waits; yields each document after its commit."""
        waiting, self._waiting = self._waiting, []
        try:
            vectors, fresh = self._vectors(waiting)
        except EmbeddingError as error:
            if len(waiting) == 1:
                yield Committed(waiting[0], None, 0, failure=error.message)
                return
            for pending in waiting:  # find the one at fault, and keep the others
                self._waiting = [pending]
                yield from self.flush()
            return
        for pending in waiting:
            yield self._commit(pending, vectors, fresh)
        if waiting:
            self.writer.publish(self.generation, final=False)

    def _vectors(
        self, waiting: Sequence[PendingDocument]
    ) -> tuple[dict[bytes, FloatArray], dict[bytes, bool]]:
        """A vector for every input of the documents, and which of them had to be embedded."""
        texts = {
            digest: chunk.embedding_text
            for pending in waiting
            for digest, chunk in zip(pending.hashes, pending.chunks, strict=True)
        }
        vectors = self.writer.known_vectors(self.generation, list(texts))
        missing = [digest for digest in texts if digest not in vectors]
        if missing:
            rows = self.embedder.embed_documents(
                [texts[digest] for digest in missing], progress=self.progress
            )
            vectors.update(zip(missing, rows, strict=True))
        return vectors, dict.fromkeys(missing, True)

    def _commit(
        self, pending: PendingDocument, vectors: dict[bytes, FloatArray], fresh: dict[bytes, bool]
    ) -> Committed:
        """Commit one document; an input shared by several counts as embedded for the first of them."""
        embedded = sum(fresh.pop(digest, False) for digest in pending.hashes)
        dimension = self.generation.fingerprint.dimension
        rows = [vectors[digest] for digest in pending.hashes]
        stacked = np.stack(rows) if rows else np.empty((0, dimension), np.float32)
        commit = self.commit or self._put_document
        return Committed(pending, commit(pending, stacked), embedded)

    def _put_document(self, pending: PendingDocument, vectors: FloatArray) -> int:
        incoming = IncomingDocument(
            source_id=pending.source_id,
            path=pending.path,
            document=pending.document,
            content_hash=pending.content_hash,
            stat=pending.stat,
            read_at_ns=pending.read_at_ns,
            chunks=pending.chunks,
            vectors=vectors,
        )
        return self.writer.put_document(incoming, self.generation, replaces=pending.replaces)
