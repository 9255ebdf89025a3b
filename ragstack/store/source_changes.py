"""Making sources: a folder around known roots absorbs them, so that a file is stored once.

The statements, each within its caller's transaction; what a source is, `sources` says.
"""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from ragstack.store.clock import now
from ragstack.store.models import Failure, Source, StoredDocument
from ragstack.store.sources import FOLDER, TEXTS, Place, is_within, relative_to


def ensure_source(connection: Connection, place: Place) -> int:
    """The id of the source at `place`, created if it is new; a new folder absorbs the roots inside it."""
    if place.source_id is not None:
        return place.source_id
    existing = connection.execute(
        select(Source.id).where(Source.kind == place.kind, Source.root == place.root)
    ).scalar()
    if existing is not None:
        return int(existing)
    result = connection.execute(insert(Source).values(kind=place.kind, root=place.root, created_at=now()))
    source_id = int(result.inserted_primary_key[0])  # type: ignore[index] # one row, one key
    if place.kind == FOLDER:
        _absorb(connection, source_id, place.root)
    return source_id


def _absorb(connection: Connection, source_id: int, root: str) -> None:
    """Take over the documents and failures of every source whose root lies within `root`."""
    rows = connection.execute(select(Source.id, Source.kind, Source.root).where(Source.id != source_id)).all()
    for row in rows:
        if row.kind == TEXTS or not is_within(row.root, root):
            continue
        inner = relative_to(row.root, root)
        prefix = f"{inner}/" if inner else ""
        for model in (StoredDocument, Failure):
            taken = select(model.path).where(model.source_id == source_id)
            connection.execute(
                update(model)
                .where(model.source_id == row.id, (prefix + model.path).not_in(taken))
                .values(source_id=source_id, path=prefix + model.path)
            )
        connection.execute(delete(Source).where(Source.id == row.id))
