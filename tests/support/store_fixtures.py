from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragstack.records import Chunk, ChunkerSettings, Document, FileStat, Fingerprint
from ragstack.store.documents import IncomingDocument
from ragstack.store.generations import IndexGeneration
from ragstack.store.sources import FOLDER, Place
from ragstack.store.store import Store
from ragstack.store.writer import Writer

DIMENSION = 8
SETTINGS = ChunkerSettings(size=64, overlap=16)


def fingerprint(**changes: object) -> Fingerprint:
    values: dict[str, object] = {
        "name": "test", "revision": None, "weights": "w", "tokenizer": "t", "configuration": "c",
        "dimension": DIMENSION, "max_tokens": 64, "pooling": "mean", "normalised": True,
        "query_prompt": "", "document_prompt": "",
    }  # fmt: skip
    return Fingerprint(**(values | changes))


def unit_vectors(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def line_chunks(text: str) -> list[Chunk]:
    """One chunk a line: enough structure for the store, which never looks inside."""
    chunks, at = [], 0
    for line in text.splitlines(keepends=True):
        body = line.rstrip("\n")
        if body.strip():
            chunks.append(
                Chunk(at, at + len(body), body, len(body.split()), ("Part",), "Title", f"Title\n{body}")
            )
        at += len(line)
    return chunks


class Filled:
    """A store with a source and a generation, and short ways to put documents into it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.write() as writer:
            self.generation: IndexGeneration = writer.create_generation(
                fingerprint(), SETTINGS, unit_vectors(3, 99)
            )
            self.source_id = writer.ensure_source(Place(None, FOLDER, "/library", ""))

    def incoming(self, path: str, text: str, **changes: object) -> IncomingDocument:
        chunks = line_chunks(text)
        document = Document(
            text=text,
            media_type=str(changes.pop("media_type", "text/plain")),
            reader="text",
            reader_version=1,
            title="Title",
            lines_are_original=True,
            metadata=dict(changes.pop("metadata", {})),
            landmarks=tuple(changes.pop("landmarks", ())),
            elements=tuple(changes.pop("elements", ())),
        )
        mtime = int(changes.pop("mtime_ns", 1_000))
        return IncomingDocument(
            source_id=self.source_id,
            path=path,
            document=document,
            content_hash=f"hash of {text}",
            stat=FileStat(len(text), mtime, 1, 1),
            read_at_ns=10**18,
            chunks=chunks,
            vectors=unit_vectors(len(chunks), zlib.crc32(text.encode())),
        )

    def put(self, path: str, text: str, *, replaces: int | None = None, **changes: object) -> int:
        with self.store.write() as writer:
            return self.put_with(writer, path, text, replaces=replaces, **changes)

    def put_with(
        self, writer: Writer, path: str, text: str, *, replaces: int | None = None, **changes: object
    ) -> int:
        return writer.put_document(self.incoming(path, text, **changes), self.generation, replaces=replaces)

    def publish(self) -> bool:
        with self.store.write() as writer:
            return writer.publish(self.generation, final=True)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    with Store.create(tmp_path / "store") as store:
        yield Filled(store)
