"""What a store is to the other stages: sessions that read and write, and the store that gives them.

They know a store by these protocols only, so that a server (PostgreSQL with pgvector, say) can take the place
of SQLite and FAISS without any of them being touched. `store.Store`, `snapshot.Snapshot` and `writer.Writer`
satisfy the protocols for SQLite, `index.VectorIndex` the one of the vector side; `tests/store` holds every
implementation to the same behaviour. Not responsible for any behaviour itself: only types are imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ragstack.records import ChunkSearch, DocumentSource

if TYPE_CHECKING:
    from ragstack.records import (
        Chunk,
        ChunkerSettings,
        Document,
        FileStat,
        Fingerprint,
        FloatArray,
        IntArray,
    )
    from ragstack.store.catalog import (
        DiskUse,
        DocumentInfo,
        FailureInfo,
        RunInfo,
        SegmentInfo,
        SourceInfo,
    )
    from ragstack.store.documents import IncomingDocument
    from ragstack.store.generations import IndexGeneration
    from ragstack.store.maintenance import Repair
    from ragstack.store.sources import KnownFailure, KnownFile, Place
    from ragstack.store.verification import Verification


class ReadVectors(Protocol):
    """Reads the stored vectors of chunks in the committed state that is searched."""

    def __call__(self, chunk_ids: Sequence[int], /) -> tuple[IntArray, FloatArray]:
        """Ids, shape (n,), and vectors, shape (n, dimension), by id; chunks that are gone are left out."""
        ...


class VectorSearch(Protocol):
    """The vector side of one committed state: every searchable vector of one generation."""

    @property
    def generation_id(self) -> int:
        """The generation whose vectors these are."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def sequence(self) -> int:
        """The number of the committed state, which grows with every change of documents."""
        ...

    def search(
        self, vector: FloatArray, limit: int, *, read: ReadVectors, only: IntArray | None = None
    ) -> list[tuple[int, float]]:
        """(chunk id, inner product) of the nearest live vectors, best first; `only` are sorted chunk ids.

        `read` gives the stored vectors of candidates, for a side that keeps approximations.
        """
        ...


class ReadSession(ChunkSearch, DocumentSource, Protocol):
    """One committed state: searched by retrieval, read by packing and answering, looked into by people."""

    def generation(self) -> IndexGeneration | None:
        """The generation that is searched; None in a store that never held a document."""
        ...

    # documents

    def documents(self) -> list[DocumentInfo]:
        """Every document, by root and path."""
        ...

    def document_info(self, document_id: int) -> DocumentInfo:
        """All but the text of a document; NotInStoreError if it is gone."""
        ...

    def find_document(self, path_or_id: Path | str | int) -> int:
        """The id of a document given by its id, its file, its path within a source, or its name."""
        ...

    def document(self, document_id: int) -> Document:
        """A document as its reader made it, from the store alone."""
        ...

    def metadata(self, document_id: int) -> Mapping[str, str]:
        """Title, author, dates and front matter of a document."""
        ...

    def chunk_ids(self, document_id: int) -> list[int]:
        """The chunks of a document in the current generation, in the order of its text."""
        ...

    def vectors(self, chunk_ids: Sequence[int]) -> dict[int, FloatArray]:
        """The stored vectors of these chunks, each of shape (dimension,); ids that are gone are left out."""
        ...

    # sources and files

    def sources(self) -> list[SourceInfo]:
        """Every source, by kind and root."""
        ...

    def place_of(self, path: str, *, is_folder: bool) -> Place:
        """Where the absolute, resolved `path` (with `/`) belongs, creating nothing."""
        ...

    def known_files(self, source_id: int, prefix: str = "") -> dict[str, KnownFile]:
        """The stored files of a source at or beneath `prefix`, by path."""
        ...

    def known_failures(self, source_id: int, prefix: str = "") -> dict[str, KnownFailure]:
        """The files of a source at or beneath `prefix` that could not be read, by path."""
        ...

    # for people who look inside

    def failures(self) -> list[FailureInfo]:
        """Every file that could not be read, by root and path."""
        ...

    def segments(self) -> list[SegmentInfo]:
        """The parts of the vector index that are published as files; empty where there are no files."""
        ...

    def unpublished(self) -> int:
        """Number of chunks that no published part of the vector index covers yet."""
        ...

    def repeated(self) -> int:
        """Number of chunks whose embedded input an earlier chunk has, too; they were embedded once."""
        ...

    def last_run(self) -> RunInfo | None:
        """The last ingest that changed something, if there was one."""
        ...


class WriteSession(Protocol):
    """The right to change a store, held by one session at a time.

    Every method is a whole transaction: when it returns, what it did survives a power failure; when it
    raises, nothing happened.
    """

    # generations

    def generation(self) -> IndexGeneration | None:
        """The generation that documents are added to."""
        ...

    def create_generation(
        self, fingerprint: Fingerprint, settings: ChunkerSettings, probe: FloatArray
    ) -> IndexGeneration:
        """Fix embedder and chunker settings of a store that has none yet."""
        ...

    def begin_generation(
        self, fingerprint: Fingerprint, settings: ChunkerSettings, probe: FloatArray
    ) -> IndexGeneration:
        """The generation to build beside the current one; an unfinished one of the same kind is continued."""
        ...

    def documents_without_chunks(self, generation: IndexGeneration) -> list[int]:
        """Ids of the documents that a generation being built lacks (and of those without any text)."""
        ...

    def put_chunks(
        self,
        document_id: int,
        title: str | None,
        chunks: Sequence[Chunk],
        vectors: FloatArray,
        generation: IndexGeneration,
    ) -> None:
        """Commit the chunks of a stored document in a generation that is being built."""
        ...

    def switch_generation(self, generation: IndexGeneration) -> None:
        """Search the finished generation from now on, and delete what was searched before."""
        ...

    def known_vectors(self, generation: IndexGeneration, hashes: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """Vectors of inputs that were embedded before and are undamaged, by `integrity.input_hash`."""
        ...

    def publish(self, generation: IndexGeneration, *, final: bool) -> bool:
        """Bring the vector index on disk up to date if that is due (`final`: at the end of an ingest)."""
        ...

    # documents

    def put_document(
        self, incoming: IncomingDocument, generation: IndexGeneration, *, replaces: int | None = None
    ) -> int:
        """Commit a document whole; `replaces` keeps the id of the version it takes the place of."""
        ...

    def remove_documents(self, document_ids: Iterable[int]) -> None:
        """Delete documents whole, in one transaction."""
        ...

    def touch_documents(self, stats: Mapping[int, tuple[FileStat, int]]) -> None:
        """Note new file states and read times, by document id, of files whose content did not change."""
        ...

    # sources and files

    def ensure_source(self, place: Place) -> int:
        """The id of the source at `place`, created if needed; a new folder absorbs the roots inside it."""
        ...

    def known_files(self, source_id: int) -> dict[str, KnownFile]:
        """What the store remembers of the documents of a source, by path."""
        ...

    def relocate_source(self, old: str, new: str) -> None:
        """Say that the folder `old` now lies at `new`; its documents stay as they are."""
        ...

    def remove_source(self, root: str) -> int:
        """Delete a source with all its documents; returns how many there were."""
        ...

    def record_failure(self, source_id: int, failure: KnownFailure) -> None:
        """Note a file that could not be read; a good version already stored stays and is marked stale."""
        ...

    def forget_failures(self, source_id: int, paths: Iterable[str]) -> None:
        """Forget failed files that are gone or fine again."""
        ...

    def record_run(self, started_at: str, summary: Mapping[str, int]) -> None:
        """Note an ingest that changed something."""
        ...


class DocumentStore(Protocol):
    """An opened store: many sessions that read, one that writes, and its upkeep."""

    @property
    def directory(self) -> Path:
        """The directory of the store, which an ingest never walks."""
        ...

    def read(self, *, healing: bool = True) -> AbstractContextManager[ReadSession]:
        """One committed state. With `healing`, what was found damaged on the way may be mended afterwards."""
        ...

    def write(self) -> AbstractContextManager[WriteSession]:
        """The right to change the store; StoreLockedError if another process keeps it."""
        ...

    def close(self) -> None:
        """Release what is held open."""
        ...

    def disk_use(self) -> DiskUse:
        """Bytes on disk by part."""
        ...

    def verify(self, *, share: float = 0.0, seed: int = 0) -> Verification:
        """Check the store against itself: quickly, or (`share` of the documents) down to every byte."""
        ...

    def repair(self, *, apply: bool = False) -> tuple[Verification, list[Repair], Path | None]:
        """What is wrong, what mends it, and (`apply`) mend it after a backup, whose path is returned."""
        ...

    def purge(self) -> None:
        """Make sure that nothing of deleted documents is left in anything that the store wrote."""
        ...

    def backup(self, destination: Path) -> Path:
        """Copy the store, as of one moment, into the new directory `destination`, while others may write."""
        ...
