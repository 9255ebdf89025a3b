"""What a store holds, as plain data for the terminal and for JSON; needs no embedding model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragstack.errors import NotInStoreError
from ragstack.records import ChunkerSettings, Filter, Fingerprint, Location, StoredChunk

if TYPE_CHECKING:
    from ragstack.store.catalog import DiskUse, DocumentInfo, FailureInfo, RunInfo, SegmentInfo, SourceInfo
    from ragstack.system import RAGSystem


_EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Overview:
    """What is in a store. `indexed` and `tail` are vectors in published segments and not yet in one.

    `distinct_characters` counts texts that several documents share once, `repeated_chunks` the chunks that
    are the same as an earlier one.
    """

    path: Path
    documents: int
    chunks: int
    tokens: int
    characters: int
    distinct_characters: int
    repeated_chunks: int
    media_types: Mapping[str, int]
    sources: tuple[SourceInfo, ...]
    failures: tuple[FailureInfo, ...]
    stale: int
    embedder: Fingerprint | None
    chunker: ChunkerSettings | None
    segments: tuple[SegmentInfo, ...]
    indexed: int
    tail: int
    disk: DiskUse
    last_run: RunInfo | None


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document with its text, its metadata and its chunks."""

    info: DocumentInfo
    metadata: Mapping[str, str]
    text: str
    chunks: tuple[StoredChunk, ...]


@dataclass(frozen=True, slots=True)
class ChunkView:
    """A chunk, where it lies in the original, and its neighbours in the document."""

    chunk: StoredChunk
    location: Location
    previous: int | None
    following: int | None


def overview(system: RAGSystem) -> Overview:
    """Everything that `ragstack inspect` shows."""
    with system.store.read() as snapshot:
        generation = snapshot.generation()
        documents = snapshot.documents()
        media_types: dict[str, int] = {}
        for info in documents:
            media_types[info.media_type] = media_types.get(info.media_type, 0) + 1
        segments = snapshot.segments()
        return Overview(
            path=system.path,
            documents=len(documents),
            chunks=sum(info.chunks for info in documents),
            tokens=sum(info.tokens for info in documents),
            characters=sum(info.characters for info in documents),
            distinct_characters=sum({info.text_hash: info.characters for info in documents}.values()),
            repeated_chunks=snapshot.repeated() if generation else 0,
            media_types=dict(sorted(media_types.items())),
            sources=tuple(snapshot.sources()),
            failures=tuple(snapshot.failures()),
            stale=sum(info.stale_reason is not None for info in documents),
            embedder=generation.fingerprint if generation else None,
            chunker=generation.settings if generation else None,
            segments=tuple(segments),
            indexed=sum(segment.vectors - segment.dead for segment in segments),
            tail=snapshot.unpublished(),
            disk=system.store.disk_use(),
            last_run=snapshot.last_run(),
        )


def documents(system: RAGSystem, where: Filter = _EVERYTHING) -> list[DocumentInfo]:
    """Every document that passes the filter, without its text, by root and path."""
    with system.store.read() as snapshot:
        listed = snapshot.documents()
        if where.is_empty:
            return listed
        passing = {each.document_id for each in snapshot.selected_documents(where)}
        return [info for info in listed if info.document_id in passing]


def document(system: RAGSystem, path_or_id: Path | str | int) -> DocumentView:
    """One document whole, by its id, its file or its name; NotInStoreError if there is none."""
    with system.store.read() as snapshot:
        document_id = snapshot.find_document(path_or_id)
        info = snapshot.document_info(document_id)
        chunks = snapshot.chunks(snapshot.chunk_ids(document_id))
        return DocumentView(
            info=info,
            metadata=snapshot.metadata(document_id),
            text=snapshot.read_text(document_id, 0, info.characters),
            chunks=tuple(sorted(chunks.values(), key=lambda chunk: chunk.position)),
        )


def chunk(system: RAGSystem, chunk_id: int) -> ChunkView:
    """One chunk; NotInStoreError if there is none of this id."""
    with system.store.read() as snapshot:
        found = snapshot.chunks([chunk_id]).get(chunk_id)
        if found is None:
            raise NotInStoreError(
                f"there is no chunk {chunk_id} in the store",
                hint="run `ragstack inspect document ID` to list the chunks of a document",
            )
        siblings = snapshot.chunk_ids(found.document_id)
        at = siblings.index(chunk_id) if chunk_id in siblings else None
        return ChunkView(
            chunk=found,
            location=snapshot.locate(found.document_id, found.start, found.end),
            previous=siblings[at - 1] if at else None,
            following=siblings[at + 1] if at is not None and at + 1 < len(siblings) else None,
        )
