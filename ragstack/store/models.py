"""The schema of a store, as SQLAlchemy models.

The models say what exists and how rows depend on each other; the migrations in `alembic/versions` create it,
and a test holds the two equal. What changes rows goes through them; what reads rows names tables and columns
in plain SQL, see `connections`. Full-text rows live in an FTS5 table that SQLAlchemy does not know, see
`fulltext`. Ids are AUTOINCREMENT, because an id given out twice would tie an old vector to a new text.
Times are UTC in ISO 8601; `*_ns` are nanoseconds since the epoch as the file system gives them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name, since SQLite can only alter what is named."""

AUTOINCREMENT = {"sqlite_autoincrement": True}


class Base(DeclarativeBase):
    """Root of the models."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text}  # noqa: RUF012 - SQLAlchemy reads this attribute as it is


class StoreInfo(Base):
    """The one row that says which store this is; `sequence` grows with every change of documents."""

    __tablename__ = "store_info"

    id: Mapped[int] = mapped_column(primary_key=True)
    identity: Mapped[str]
    created_at: Mapped[str]
    sequence: Mapped[int] = mapped_column(BigInteger)


class Generation(Base):
    """One embedder with one chunker setting; chunks, vectors and full-text rows belong to exactly one.

    `state` is `current` (searched), `building` (not yet) or `retired` (on its way out).
    """

    __tablename__ = "generations"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    fingerprint_key: Mapped[str]
    fingerprint: Mapped[str]
    dimension: Mapped[int]
    chunk_size: Mapped[int]
    overlap: Mapped[int]
    max_characters: Mapped[int]
    max_context_tokens: Mapped[int]
    chunker_version: Mapped[int]
    probe: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[str]


class Source(Base):
    """Where documents come from: a folder, the folder of files named one by one, or texts given by name."""

    __tablename__ = "sources"
    __table_args__ = (UniqueConstraint("kind", "root"), AUTOINCREMENT)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    root: Mapped[str]
    created_at: Mapped[str]


class StoredDocument(Base):
    """One document; `path` is relative to its source, with `/`, in NFC.

    `stale_reason` is set while the file behind it can no longer be read: the last good version stays.
    `checksum` covers title, media type, reader, metadata, structure, landmarks and line numbers.
    """

    __tablename__ = "documents"
    __table_args__ = (UniqueConstraint("source_id", "path"), AUTOINCREMENT)

    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    path: Mapped[str]
    title: Mapped[str | None]
    media_type: Mapped[str]
    content_hash: Mapped[str] = mapped_column(index=True)
    text_hash: Mapped[str]
    characters: Mapped[int]
    lines: Mapped[int]
    lines_are_original: Mapped[bool]
    reader: Mapped[str]
    reader_version: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    ctime_ns: Mapped[int] = mapped_column(BigInteger)
    inode: Mapped[int] = mapped_column(BigInteger)
    read_at_ns: Mapped[int] = mapped_column(BigInteger)
    ingested_at: Mapped[str]
    stale_reason: Mapped[str | None]
    checksum: Mapped[bytes] = mapped_column(LargeBinary)


class DocumentMetadata(Base):
    """Title, author, dates and front matter of a document, for filters."""

    __tablename__ = "document_metadata"

    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class DocumentStructure(Base):
    """The elements of a document as JSON, so that it can be chunked again without its file."""

    __tablename__ = "document_structures"

    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    elements: Mapped[str]


class TextBlock(Base):
    """`text[start:end]` of a document; the blocks of a document tile its text.

    `first_line` is the line number (from 1) at `start`.
    """

    __tablename__ = "text_blocks"

    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    end: Mapped[int]
    first_line: Mapped[int]
    text: Mapped[str]


class StoredLandmark(Base):
    """From `start` on, the text of the document lies on this page (slide, sheet, cell)."""

    __tablename__ = "landmarks"

    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    label: Mapped[str]


class Failure(Base):
    """A file that could not be read, and its state then; tried again when it or its reader changes."""

    __tablename__ = "failures"

    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    reader: Mapped[str]
    reader_version: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    ctime_ns: Mapped[int] = mapped_column(BigInteger)
    inode: Mapped[int] = mapped_column(BigInteger)
    failed_at: Mapped[str]


class ChunkRow(Base):
    """`[start, end)` of a document in one generation.

    `input_hash` identifies what was embedded, so that an equal input keeps its vector; `checksum` covers the
    whole row, the text and the vector, see `integrity`.
    """

    __tablename__ = "chunks"
    __table_args__ = (
        UniqueConstraint("generation_id", "document_id", "position"),
        Index(None, "generation_id", "input_hash"),
        Index(None, "document_id"),
        AUTOINCREMENT,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"))
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    position: Mapped[int]
    start: Mapped[int]
    end: Mapped[int]
    tokens: Mapped[int]
    headings: Mapped[str]
    context: Mapped[str]
    input_hash: Mapped[bytes] = mapped_column(LargeBinary)
    checksum: Mapped[bytes] = mapped_column(LargeBinary)


class VectorRow(Base):
    """The vector of a chunk, little-endian float32; kept for good, the FAISS files are made from it."""

    __tablename__ = "vectors"

    chunk_id: Mapped[int] = mapped_column(ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class Segment(Base):
    """A published FAISS file: immutable, uniquely named, valid only with this size, sha256 and count.

    It holds the vectors of every chunk of its generation that had an id from `first_chunk_id` to
    `last_chunk_id` when it was made. `details` is JSON (parameters, measured recall). A segment that was
    merged into another is retired first and removed at the next publication, so that a reader that has just
    read the manifest still finds its file.
    """

    __tablename__ = "segments"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(primary_key=True)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"))
    file: Mapped[str] = mapped_column(unique=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    kind: Mapped[str]
    vectors: Mapped[int]
    first_chunk_id: Mapped[int]
    last_chunk_id: Mapped[int]
    details: Mapped[str]
    created_at: Mapped[str]
    retired_at: Mapped[str | None]


class DeadVector(Base):
    """A deleted chunk that a published segment still holds: masked until the segment is rewritten."""

    __tablename__ = "dead_vectors"

    chunk_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"))


class IngestRun(Base):
    """One ingest that changed something."""

    __tablename__ = "ingest_runs"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[str]
    finished_at: Mapped[str]
    summary: Mapped[str]
