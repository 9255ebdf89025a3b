"""Generations: with which embedder and chunker settings an index was made, and whether they still agree."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from ragstack.errors import EmbedderMismatchError
from ragstack.records import ChunkerSettings, Fingerprint
from ragstack.store.clock import now
from ragstack.store.database import decoding
from ragstack.store.models import Generation
from ragstack.store.vectors import from_bytes, to_bytes

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


def current_generation(connection: Connection) -> IndexGeneration | None:
    """The generation that is searched; None in a store that never held a document."""
    return _generation_in(connection, CURRENT)


def building_generation(connection: Connection) -> IndexGeneration | None:
    """The generation that a re-embedding began and has not finished."""
    return _generation_in(connection, BUILDING)


def _generation_in(connection: Connection, state: str) -> IndexGeneration | None:
    row = connection.execute(select(*Generation.__table__.columns).where(Generation.state == state)).first()
    if row is None:
        return None
    with decoding("the description of a generation"):
        fingerprint = Fingerprint(**json.loads(row.fingerprint))
        if fingerprint.key != row.fingerprint_key:
            raise ValueError("its fingerprint does not have its key")
        return IndexGeneration(
            id=row.id,
            fingerprint=fingerprint,
            settings=ChunkerSettings(
                size=row.chunk_size,
                overlap=row.overlap,
                max_characters=row.max_characters,
                max_context_tokens=row.max_context_tokens,
                version=row.chunker_version,
            ),
            probe=from_bytes([row.probe], row.dimension * _probe_count(row.probe, row.dimension)).reshape(
                -1, row.dimension
            ),
            created_at=row.created_at,
        )


def _probe_count(probe: bytes, dimension: int) -> int:
    return len(probe) // (4 * dimension)


def create_generation(
    connection: Connection,
    fingerprint: Fingerprint,
    settings: ChunkerSettings,
    probe: FloatArray,
    *,
    state: str = CURRENT,
) -> int:
    """Make a generation; returns its id."""
    result = connection.execute(
        insert(Generation).values(
            state=state,
            fingerprint_key=fingerprint.key,
            fingerprint=json.dumps(asdict(fingerprint), ensure_ascii=False),
            dimension=fingerprint.dimension,
            chunk_size=settings.size,
            overlap=settings.overlap,
            max_characters=settings.max_characters,
            max_context_tokens=settings.max_context_tokens,
            chunker_version=settings.version,
            probe=to_bytes(probe),
            created_at=now(),
        )
    )
    return int(result.inserted_primary_key[0])  # type: ignore[index] # one row, one key


def switch_generation(connection: Connection, generation_id: int) -> None:
    """Search `generation_id` from now on, and retire what was searched before."""
    connection.execute(update(Generation).where(Generation.state == CURRENT).values(state=RETIRED))
    connection.execute(update(Generation).where(Generation.id == generation_id).values(state=CURRENT))


def retired_generations(connection: Connection) -> list[int]:
    """Generations that are no longer searched and wait to be deleted."""
    return list(connection.execute(select(Generation.id).where(Generation.state == RETIRED)).scalars())


def retire_generation(connection: Connection, generation_id: int) -> None:
    """Give up a generation that was being built."""
    connection.execute(update(Generation).where(Generation.id == generation_id).values(state=RETIRED))


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
