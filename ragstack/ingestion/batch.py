"""Documents on their way into the store: chunked one by one, embedded in groups, committed one by one.

Equal inputs are embedded once, and never again while the store holds their vector. Not responsible for which
documents come, nor for what becomes of files.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ragstack.chunking.windows import chunk_document
from ragstack.errors import EmbeddingError
from ragstack.ingestion.embedding_thread import EmbeddingThread
from ragstack.records import Chunk, Document, Embedder, FileStat
from ragstack.store.documents import IncomingDocument
from ragstack.store.integrity import input_hash

if TYPE_CHECKING:
    from ragstack.records import FloatArray
    from ragstack.store.generations import IndexGeneration
    from ragstack.store.protocols import WriteSession

FLUSH_CHUNKS = 256
"""Documents wait for each other until they have this many chunks: batches of one length pad little."""

FLUSH_DOCUMENTS = 256
"""... or until so many wait, so that a folder of tiny files is committed as it goes."""

MOST_EMBEDDING = 2
"""Groups of documents being embedded at once: one at work and one at hand; more would only take memory."""


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


@dataclass(frozen=True, slots=True)
class _Group:
    """Documents that are embedded together, each input (by hash) once.

    `known` are vectors that the store holds already, `missing` what `embedding` makes, in its order, and
    `shared` what a group before this one makes.
    """

    documents: Sequence[PendingDocument]
    known: dict[bytes, FloatArray]
    missing: Sequence[bytes]
    shared: Sequence[bytes]
    embedding: EmbeddingThread | None

    @property
    def is_ready(self) -> bool:
        """Whether nothing need be waited for."""
        return self.embedding is None or self.embedding.is_done


@dataclass(slots=True)
class DocumentBatch:
    """Collects documents, embeds them in groups while others are read, and commits them in their order.

    All of the store's work is done in the caller's thread; only embedding has its own, which `close` ends.
    `commit` is given a document and its vectors, shape (chunks, dimension), and returns the document's id; by
    default it stores the document whole.
    """

    writer: WriteSession
    embedder: Embedder
    generation: IndexGeneration
    progress: Callable[[int], None]
    commit: Callable[[PendingDocument, FloatArray], int] | None = None
    max_chunks: int | None = None
    _waiting: list[PendingDocument] = field(default_factory=list)
    _waiting_chunks: int = 0
    _embedding: deque[_Group] = field(default_factory=deque)
    _stop: threading.Event = field(default_factory=threading.Event)

    def add(self, pending: PendingDocument) -> Iterator[Committed]:
        """Take a document in; yields the documents that were committed meanwhile, if any."""
        chunks = chunk_document(
            pending.document,
            self.embedder.tokenizer,
            self.generation.settings,
            max_tokens=self.embedder.max_tokens,
            overhead=self.embedder.document_overhead,
        )
        if self.max_chunks is not None and len(chunks) > self.max_chunks:
            limit = f"more than the limit of {self.max_chunks:,} (`max_chunks`)"
            yield Committed(pending, None, 0, failure=f"makes {len(chunks):,} chunks, {limit}")
            return
        self._waiting.append(
            replace(pending, chunks=chunks, hashes=[input_hash(chunk.embedding_text) for chunk in chunks])
        )
        self._waiting_chunks += len(chunks)
        if self._waiting_chunks >= FLUSH_CHUNKS or len(self._waiting) >= FLUSH_DOCUMENTS:
            self._begin_waiting()
        while len(self._embedding) > MOST_EMBEDDING or (self._embedding and self._embedding[0].is_ready):
            yield from self._finish(self._embedding.popleft())

    def flush(self) -> Iterator[Committed]:
        """Embed and commit everything that waits; yields each document after its commit."""
        self._begin_waiting()
        while self._embedding:
            yield from self._finish(self._embedding.popleft())

    def close(self) -> None:
        """End the embedding of what was not committed; for every way out, and harmless after `flush`."""
        self._stop.set()
        while self._embedding:
            embedding = self._embedding.popleft().embedding
            if embedding is not None:
                embedding.join()

    def _begin_waiting(self) -> None:
        waiting, self._waiting, self._waiting_chunks = self._waiting, [], 0
        if waiting:
            coming = {digest for group in self._embedding for digest in group.missing}
            self._embedding.append(self._begin(waiting, coming))

    def _begin(self, documents: Sequence[PendingDocument], coming: Collection[bytes] = ()) -> _Group:
        """Begin to embed what the store has no vectors of, leaving out what is `coming` from other groups."""
        texts = {
            digest: chunk.embedding_text
            for pending in documents
            for digest, chunk in zip(pending.hashes, pending.chunks, strict=True)
        }
        known = self.writer.known_vectors(self.generation, list(texts))
        unknown = [digest for digest in texts if digest not in known]
        missing = [digest for digest in unknown if digest not in coming]
        return _Group(
            documents,
            known,
            missing,
            shared=[digest for digest in unknown if digest in coming],
            embedding=self._embed([texts[digest] for digest in missing]),
        )

    def _embed(self, texts: Sequence[str]) -> EmbeddingThread | None:
        if not texts:
            return None
        before = [group.embedding for group in self._embedding if group.embedding is not None]
        return EmbeddingThread(self.embedder, texts, after=before[-1] if before else None, stop=self._stop)

    def _finish(self, group: _Group) -> Iterator[Committed]:
        """Wait for the vectors of a group, all groups before it being committed, and commit it."""
        vectors = dict(group.known)
        try:
            if group.embedding is not None:
                made = group.embedding.vectors(self.progress)
                vectors.update(zip(group.missing, made, strict=True))
        except EmbeddingError as error:
            yield from self._finish_one_by_one(group, error)
            return
        vectors |= self.writer.known_vectors(self.generation, group.shared)
        if any(digest not in vectors for digest in group.shared):  # they came with a document that failed
            yield from self._finish(self._begin(group.documents))
            return
        fresh = dict.fromkeys(group.missing, True)
        for pending in group.documents:
            yield self._commit(pending, vectors, fresh)
        self.writer.publish(self.generation, final=False)

    def _finish_one_by_one(self, group: _Group, error: EmbeddingError) -> Iterator[Committed]:
        """Find the documents at fault, and keep the others."""
        if len(group.documents) == 1:
            yield Committed(group.documents[0], None, 0, failure=error.message)
            return
        for pending in group.documents:
            yield from self._finish(self._begin([pending]))

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
