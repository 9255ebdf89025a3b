"""Making, switching and retiring generations: the statements, each within its caller's transaction."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from ragstack.records import ChunkerSettings, Fingerprint
from ragstack.store.clock import now
from ragstack.store.generations import CURRENT, RETIRED
from ragstack.store.models import Generation
from ragstack.store.vectors import to_bytes

if TYPE_CHECKING:
    from ragstack.records import FloatArray


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
