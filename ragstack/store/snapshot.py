"""One committed state of a store: searching it and reading its documents.

A `Snapshot` holds one read transaction and the vector index of exactly that state, so that everything asked
of it agrees. It should be closed before slow work (a language model) begins, because an open one keeps the
write-ahead log from being emptied. It never writes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ragstack.chunking.headings import enclosing_headings
from ragstack.records import (
    Candidate,
    Document,
    Element,
    Filter,
    Landmark,
    Location,
    SelectedDocument,
    StoredChunk,
    TermCounts,
)
from ragstack.store import catalog, fulltext, sources
from ragstack.store.catalog import DocumentInfo, FailureInfo, RunInfo, SegmentInfo, SourceInfo
from ragstack.store.connections import IDS_IN, bind_ids, column, decoding, scalar
from ragstack.store.elements import elements_from_json
from ragstack.store.filters import matching_documents
from ragstack.store.generations import IndexGeneration, current_generation
from ragstack.store.index import EXACT_BELOW
from ragstack.store.protocols import VectorSearch
from ragstack.store.sources import KnownFailure, KnownFile, Place
from ragstack.store.stored_vectors import read_vectors_of
from ragstack.store.vectors import search_rows

if TYPE_CHECKING:
    from ragstack.records import FloatArray, IntArray

Kept = TypeVar("Kept")

REMEMBERED_DOCUMENTS = 256
"""Documents whose structure is kept in memory: more than a prompt cites, few enough for any memory."""

REMEMBERED_CHUNKS = 10_000
"""Chunks that are kept in memory, some 20 MB of the usual size."""

_CHUNKS = f"""
    SELECT c.id, c.document_id, c.position, c.start, c."end", c.tokens, c.headings,
        d.path, d.title, d.media_type, d.content_hash
    FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.id {IDS_IN.format("wanted")}
"""

_CHUNK_TEXTS = f"""
    SELECT c.id, c.start, c."end", b.start, b.text FROM chunks c
    JOIN text_blocks b ON b.document_id = c.document_id AND b.start < c."end" AND b."end" > c.start
    WHERE c.id {IDS_IN.format("wanted")} ORDER BY c.id, b.start
"""

_CHUNKS_AROUND = (
    "SELECT position, id FROM chunks WHERE generation_id = ? AND document_id = ? "
    "AND position BETWEEN ? AND ? ORDER BY position"
)

_SECTION_NEAREST = (
    "SELECT position, id FROM chunks WHERE generation_id = ? AND document_id = ? AND headings = ? "
    "ORDER BY abs(position - ?), position LIMIT ?"
)

_SECTION_BEGINNINGS = (
    "SELECT min(position), id FROM chunks WHERE generation_id = ? AND document_id = ? "
    "AND headings IN (SELECT value FROM json_each(?)) GROUP BY headings"
)

_CHUNKS_OF_DOCUMENTS = (
    f"SELECT id FROM chunks WHERE generation_id = :generation AND document_id {IDS_IN.format('documents')} "
    "ORDER BY id"
)

_BLOCKS = (
    "SELECT start, first_line, text FROM text_blocks "
    'WHERE document_id = ? AND start < ? AND "end" > ? ORDER BY start'
)


@dataclass(frozen=True, slots=True)
class Memory:
    """What was read of one committed state, for whoever reads of it next. Any thread may use it."""

    sequence: int
    chunks: dict[int, StoredChunk] = field(default_factory=dict)
    structures: dict[int, tuple[Element, ...]] = field(default_factory=dict)
    documents: dict[int, DocumentInfo] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A store as it was at one commit. Implements `protocols.ReadSession`."""

    connection: sqlite3.Connection
    index: VectorSearch | None
    memory: Memory = field(default_factory=lambda: Memory(0), repr=False)
    _terms: dict[str, dict[str, int]] = field(default_factory=dict, repr=False)

    def generation(self) -> IndexGeneration | None:
        """The generation that is searched; None in a store that never held a document."""
        return current_generation(self.connection)

    # ------------------------------------------------------------------ searching

    def dense_candidates(self, vector: FloatArray, limit: int, where: Filter) -> list[Candidate]:
        """The chunks nearest to `vector` (inner product), best first."""
        if self.index is None:
            return []
        documents = matching_documents(self.connection, where)
        only = None if documents is None else self._chunk_ids_of(documents)
        if only is not None and len(only) < EXACT_BELOW:
            ids, rows = read_vectors_of(self.connection, only, self.index.dimension)
            found = search_rows(ids, rows, vector, limit)
        else:
            found = self.index.search(vector, limit, only=only, read=self._read_vectors)
        return [Candidate(chunk_id, rank, score) for rank, (chunk_id, score) in enumerate(found, 1)]

    def _read_vectors(self, chunk_ids: Sequence[int]) -> tuple[IntArray, FloatArray]:
        assert self.index is not None
        return read_vectors_of(self.connection, chunk_ids, self.index.dimension)

    def _chunk_ids_of(self, document_ids: Sequence[int]) -> IntArray:
        assert self.index is not None
        bound = {"generation": self.index.generation_id, "documents": bind_ids(document_ids)}
        return np.array(column(self.connection, _CHUNKS_OF_DOCUMENTS, bound), dtype=np.int64)

    def lexical_candidates(self, question: str, limit: int, where: Filter) -> list[Candidate]:
        """The chunks that match words of the question best (BM25), best first."""
        if self.index is None:
            return []
        documents = matching_documents(self.connection, where)
        found = fulltext.search(
            self.connection,
            self._searched_terms(question),
            limit,
            generation_id=self.index.generation_id,
            documents=None if documents is None else bind_ids(documents),
        )
        return [Candidate(chunk_id, rank, score) for rank, (chunk_id, score) in enumerate(found, 1)]

    def term_counts(self, question: str) -> TermCounts:
        """How many chunks hold each of the terms that the question is searched by."""
        return TermCounts(fulltext.row_count(self.connection), self._searched_terms(question))

    def _searched_terms(self, question: str) -> dict[str, int]:
        if question not in self._terms:
            self._terms[question] = fulltext.searched_terms(self.connection, question)
        return self._terms[question]

    def cosines(self, vector: FloatArray, chunk_ids: Sequence[int]) -> dict[int, float]:
        """Inner product of `vector` with the stored vectors of these chunks."""
        if self.index is None or not chunk_ids:
            return {}
        ids, rows = read_vectors_of(self.connection, chunk_ids, self.index.dimension)
        return dict(zip(ids.tolist(), (rows @ vector).tolist(), strict=True))

    def vectors(self, chunk_ids: Sequence[int]) -> dict[int, FloatArray]:
        """The stored vectors of these chunks, each of shape (dimension,); ids that are gone are left out."""
        if self.index is None:
            return {}
        ids, rows = read_vectors_of(self.connection, chunk_ids, self.index.dimension)
        return dict(zip(ids.tolist(), rows, strict=True))

    def chunks(self, chunk_ids: Iterable[int]) -> dict[int, StoredChunk]:
        """The chunks of these ids with their texts, in two queries whatever their number."""
        held = self.memory.chunks
        found = {chunk_id: held.get(chunk_id) for chunk_id in chunk_ids}
        if unknown := [chunk_id for chunk_id, chunk in found.items() if chunk is None]:
            read = self._read_chunks(unknown)
            if len(held) + len(read) > REMEMBERED_CHUNKS:
                held.clear()
            held.update(read)
            found.update(read)
        return {chunk_id: chunk for chunk_id, chunk in found.items() if chunk is not None}

    def _read_chunks(self, chunk_ids: Iterable[int]) -> dict[int, StoredChunk]:
        bound = {"wanted": bind_ids(chunk_ids)}
        rows = self.connection.execute(_CHUNKS, bound).fetchall()
        headings = {stored: fulltext.headings_from_json(stored) for stored in {row[6] for row in rows}}
        with decoding("the text of a chunk"):
            texts = self._chunk_texts(bound)
            return {row[0]: _stored_chunk(row, headings[row[6]], texts[row[0]]) for row in rows}

    def chunk_ids_around(self, chunk: StoredChunk, distance: int) -> dict[int, int]:
        """By position: the chunk and those at most so many places before and after it in its document."""
        places = (chunk.position - distance, chunk.position + distance)
        bound = (self._generation_id, chunk.document_id, *places)
        return dict(self.connection.execute(_CHUNKS_AROUND, bound).fetchall())

    def section_chunk_ids(self, chunk: StoredChunk, limit: int) -> list[int]:
        """The chunk's section: the `limit` chunks nearest to it under its headings, itself among them.

        Also the first one of the section and of those around it; in order. Empty where there are no headings.
        """
        if not chunk.headings:
            return []
        document = (self._generation_id, chunk.document_id)
        own, *above = (
            fulltext.headings_to_json(chunk.headings[:depth]) for depth in range(len(chunk.headings), 0, -1)
        )
        found = [
            *self.connection.execute(_SECTION_NEAREST, (*document, own, chunk.position, limit)),
            *self.connection.execute(_SECTION_BEGINNINGS, (*document, json.dumps([own, *above]))),
        ]
        return [chunk_id for _, chunk_id in sorted(set(found))]

    def _chunk_texts(self, bound: dict[str, str]) -> dict[int, str]:
        texts: dict[int, str] = {}
        for chunk_id, start, end, block_start, body in self.connection.execute(_CHUNK_TEXTS, bound):
            piece = body[max(0, start - block_start) : end - block_start]
            texts[chunk_id] = texts.get(chunk_id, "") + piece
        return texts

    # -------------------------------------------------------------------- reading

    def read_text(self, document_id: int, start: int, end: int) -> str:
        """Exactly `text[start:end]` of the document."""
        blocks = self._blocks(document_id, start, end)
        with decoding("the text of a document"):
            joined = "".join(body for _, _, body in blocks)
        offset = blocks[0][0] if blocks else 0
        return joined[start - offset : end - offset] if end > start else ""

    def locate(self, document_id: int, start: int, end: int) -> Location:
        """Page (or the like) and original lines of a span."""
        document = self.memory.documents.get(document_id)
        if document is None:
            document = self.document_info(document_id)
            _remember(self.memory.documents, document_id, document)
        first_line = last_line = None
        if document.lines_are_original:
            first_line = self._line_at(document_id, start)
            last_line = self._line_at(document_id, max(start, end - 1))
        first, last = (
            self._landmark_at(document_id, start),
            self._landmark_at(document_id, max(start, end - 1)),
        )
        return Location(
            landmark_kind=first.kind if first else None,
            first_landmark=first.label if first else None,
            last_landmark=last.label if last else None,
            first_line=first_line,
            last_line=last_line,
            headings=self._headings_at(document_id, start),
        )

    def _headings_at(self, document_id: int, offset: int) -> tuple[str, ...]:
        """Titles of the headings that enclose `offset`, a heading itself included, outermost first."""
        return enclosing_headings(self.elements(document_id), offset)

    def elements(self, document_id: int) -> tuple[Element, ...]:
        """The structural units of a document, sorted."""
        elements = self.memory.structures.get(document_id)
        if elements is None:
            statement = "SELECT elements FROM document_structures WHERE document_id = ?"
            stored = scalar(self.connection, statement, (document_id,))
            elements = elements_from_json(stored or "[]")
            _remember(self.memory.structures, document_id, elements)
        return elements

    def _line_at(self, document_id: int, offset: int) -> int:
        blocks = self._blocks(document_id, offset, offset + 1)
        if not blocks:
            return 1
        start, first_line, body = blocks[0]
        return int(first_line) + str(body).count("\n", 0, offset - start)

    def _blocks(self, document_id: int, start: int, end: int) -> Sequence[tuple[Any, ...]]:
        """(start, first line, text) of the blocks that hold `text[start:end]`."""
        return self.connection.execute(_BLOCKS, (document_id, end, start)).fetchall()

    def _landmark_at(self, document_id: int, offset: int) -> Landmark | None:
        condition = "start <= ? ORDER BY start DESC LIMIT 1"
        return next(iter(self._landmarks_where(condition, document_id, offset)), None)

    def _landmarks_where(self, condition: str, document_id: int, *bound: int) -> list[Landmark]:
        statement = f"SELECT start, kind, label FROM landmarks WHERE document_id = ? AND {condition}"
        return [Landmark(*row) for row in self.connection.execute(statement, (document_id, *bound))]

    def landmarks(self, document_id: int, start: int, end: int) -> tuple[Landmark, ...]:
        """The page (or the like) that a span begins on, if any, and those that begin in it, in order."""
        first = self._landmark_at(document_id, start)
        others = self._landmarks_where("start > ? AND start < ? ORDER BY start", document_id, start, end)
        return (*([first] if first else []), *others)

    def document_info(self, document_id: int) -> DocumentInfo:
        """All but the text of a document; NotInStoreError if it is gone."""
        return catalog.document(self.connection, self._generation_id, document_id)

    def find_document(self, path_or_id: Path | str | int) -> int:
        """The id of a document given by its id, its file, its path within a source, or its name."""
        if isinstance(path_or_id, int) or (isinstance(path_or_id, str) and path_or_id.isdecimal()):
            return self.document_info(int(path_or_id)).document_id
        return catalog.find_document(self.connection, str(path_or_id))

    @property
    def _generation_id(self) -> int:
        return self.index.generation_id if self.index is not None else -1

    def document(self, document_id: int) -> Document:
        """A document as its reader made it, from the store alone."""
        row = self.document_info(document_id)
        return Document(
            text=self.read_text(document_id, 0, row.characters),
            media_type=row.media_type,
            reader=row.reader,
            reader_version=row.reader_version,
            title=row.title,
            elements=self.elements(document_id),
            landmarks=tuple(self._landmarks_where("true ORDER BY start", document_id)),
            lines_are_original=row.lines_are_original,
            metadata=self.metadata(document_id),
        )

    def metadata(self, document_id: int) -> dict[str, str]:
        """Title, author, dates and front matter of a document."""
        statement = "SELECT key, value FROM document_metadata WHERE document_id = ? ORDER BY key"
        return dict(self.connection.execute(statement, (document_id,)))

    def selected_documents(self, where: Filter) -> list[SelectedDocument]:
        """The documents that pass the filter, by root and path."""
        return catalog.selected_documents(self.connection, matching_documents(self.connection, where))

    def documents(self) -> list[DocumentInfo]:
        """Every document, by root and path."""
        return catalog.documents(self.connection, self._generation_id)

    def chunk_ids(self, document_id: int) -> list[int]:
        """The chunks of a document in the current generation, in the order of its text."""
        if self.index is None:
            return []
        statement = "SELECT id FROM chunks WHERE document_id = ? AND generation_id = ? ORDER BY position"
        return column(self.connection, statement, (document_id, self.index.generation_id))

    # ------------------------------------------------------------ sources and files

    def sources(self) -> list[SourceInfo]:
        """Every source, by kind and root."""
        return catalog.sources(self.connection)

    def place_of(self, path: str, *, is_folder: bool) -> Place:
        """Where the absolute, resolved `path` (with `/`) belongs, creating nothing."""
        return sources.place_of(self.connection, path, is_folder=is_folder)

    def known_files(self, source_id: int, prefix: str = "") -> dict[str, KnownFile]:
        """The stored files of a source at or beneath `prefix`, by path."""
        return sources.known_files(self.connection, source_id, prefix)

    def known_failures(self, source_id: int, prefix: str = "") -> dict[str, KnownFailure]:
        """The files of a source at or beneath `prefix` that could not be read, by path."""
        return sources.known_failures(self.connection, source_id, prefix)

    # ------------------------------------------------------ for people who look inside

    def failures(self) -> list[FailureInfo]:
        """Every file that could not be read, by root and path."""
        return catalog.failures(self.connection)

    def segments(self) -> list[SegmentInfo]:
        """The published segments of the current generation, oldest ids first."""
        return catalog.segments(self.connection, self._generation_id)

    def unpublished(self) -> int:
        """Number of chunks that no segment covers yet."""
        return catalog.unpublished(self.connection, self._generation_id)

    def repeated(self) -> int:
        """Number of chunks whose embedded input an earlier chunk has, too."""
        return catalog.repeated(self.connection, self._generation_id)

    def last_run(self) -> RunInfo | None:
        """The last ingest that changed something, if there was one."""
        return catalog.last_run(self.connection)


def _remember(kept: dict[int, Kept], document_id: int, value: Kept) -> None:
    if len(kept) >= REMEMBERED_DOCUMENTS:
        kept.clear()
    kept[document_id] = value


def _stored_chunk(row: tuple[Any, ...], headings: tuple[str, ...], body: str) -> StoredChunk:
    """A row of `_CHUNKS` with its headings and its text."""
    chunk_id, document_id, position, start, end, tokens, _, path, title, media_type, digest = row
    return StoredChunk(
        chunk_id=chunk_id,
        document_id=document_id,
        position=position,
        start=start,
        end=end,
        text=body,
        tokens=tokens,
        headings=headings,
        path=path,
        title=title,
        media_type=media_type,
        content_hash=digest,
    )
