"""Generations: with which embedder and chunker settings an index was made, and whether they still agree."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragstack.errors import EmbedderMismatchError
from ragstack.records import ChunkerSettings, Fingerprint
from ragstack.store.connections import decoding, fetch_one
from ragstack.store.vectors import from_bytes

if TYPE_CHECKING:
    from ragstack.records import FloatArray

CURRENT = "current"
BUILDING = "building"
RETIRED = "retired"

SAME_MODEL_COSINE = 0.999
"""Two runtimes of one model agree to at least this on the probe texts (other precision, other kernels)."""


@dataclass(frozen=True, slots=True)
class IndexGeneration:
    """The embedder and chunker settings of one generation; `probe` has shape (probe texts, dimension)."""

    id: int
    fingerprint: Fingerprint
    settings: ChunkerSettings
    probe: FloatArray
    created_at: str


def current_generation(connection: sqlite3.Connection) -> IndexGeneration | None:
    """The generation that is searched; None in a store that never held a document."""
    return _generation_in(connection, CURRENT)


def building_generation(connection: sqlite3.Connection) -> IndexGeneration | None:
    """The generation that a re-embedding began and has not finished."""
    return _generation_in(connection, BUILDING)


def _generation_in(connection: sqlite3.Connection, state: str) -> IndexGeneration | None:
    row = fetch_one(connection, "SELECT * FROM generations WHERE state = ?", (state,))
    if row is None:
        return None
    with decoding("the description of a generation"):
        fingerprint = Fingerprint(**json.loads(row["fingerprint"]))
        if fingerprint.key != row["fingerprint_key"]:
            raise ValueError("its fingerprint does not have its key")
        return IndexGeneration(
            id=row["id"],
            fingerprint=fingerprint,
            settings=ChunkerSettings(
                size=row["chunk_size"],
                overlap=row["overlap"],
                max_characters=row["max_characters"],
                max_context_tokens=row["max_context_tokens"],
                version=row["chunker_version"],
            ),
            probe=_probe(row["probe"], row["dimension"]),
            created_at=row["created_at"],
        )


def _probe(stored: bytes, dimension: int) -> FloatArray:
    texts = len(stored) // (4 * dimension)
    return from_bytes([stored], dimension * texts).reshape(-1, dimension)


def require_same_embedder(generation: IndexGeneration, fingerprint: Fingerprint) -> None:
    """EmbedderMismatchError unless the store was built with this embedder."""
    stored = generation.fingerprint
    if stored.key == fingerprint.key:
        return
    differing = [
        name
        for name in ("dimension", "weights", "tokenizer", "configuration", "max_tokens", "pooling",
                     "normalised", "query_prompt", "document_prompt")
        if getattr(stored, name) != getattr(fingerprint, name)
    ]  # fmt: skip
    raise EmbedderMismatchError(
        f"the store was built with the embedder `{stored.name}`, not with this `{fingerprint.name}` "
        f"(different: {', '.join(differing)})",
        hint=f"use `--model {stored.name}`, or run `ragstack reembed --model {fingerprint.name}`",
    )


def require_same_vectors(generation: IndexGeneration, probe: FloatArray) -> None:
    """EmbedderMismatchError if the embedder now gives other vectors for the probe texts than it once did."""
    cosines = (generation.probe * probe).sum(axis=1)
    if float(cosines.min()) < SAME_MODEL_COSINE:
        raise EmbedderMismatchError(
            f"the embedder gives other vectors than when the store was built (cosine {cosines.min():.4f})",
            hint="check the versions of torch and sentence-transformers, or ingest into a new store",
        )
