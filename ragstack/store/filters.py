"""Which documents a `Filter` lets through, decided before any search runs."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.engine import Connection

from ragstack.records import Filter
from ragstack.store.database import bind_ids, ids_in
from ragstack.store.models import DocumentMetadata, StoredDocument

SHORT_NAMES = {"md": "markdown", "txt": "plain", "htm": "html"}
"""File extensions that people write where the media type has another word."""


def matching_documents(connection: Connection, where: Filter) -> list[int] | None:
    """Ids of the documents that pass; None when there is no condition, so that all do."""
    if where.is_empty:
        return None
    statement = select(StoredDocument.id, StoredDocument.path).where(*_conditions(where))
    bound = {"named": bind_ids(where.documents)} if where.documents else {}
    rows = connection.execute(statement, bound).all()
    if not where.paths:
        return [row.id for row in rows]
    from pathspec import GitIgnoreSpec

    globs = GitIgnoreSpec.from_lines(where.paths)
    return [row.id for row in rows if globs.match_file(row.path)]


def _conditions(where: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if where.media_types:
        conditions.append(or_(*(_is_media_type(name) for name in where.media_types)))
    if where.since is not None:
        conditions.append(StoredDocument.mtime_ns >= int(where.since.timestamp() * 1e9))
    if where.until is not None:
        conditions.append(StoredDocument.mtime_ns <= int(where.until.timestamp() * 1e9))
    if where.documents:
        conditions.append(StoredDocument.id.in_(ids_in("named")))
    for key, value in where.metadata:
        conditions.append(
            select(DocumentMetadata.key)
            .where(
                DocumentMetadata.document_id == StoredDocument.id,
                DocumentMetadata.key == key,
                DocumentMetadata.value == value,
            )
            .exists()
        )
    return [and_(*conditions)] if conditions else []


def _is_media_type(name: str) -> ColumnElement[bool]:
    """`text/html`, or only its main (`text`) or sub part (`html`)."""
    column, name = StoredDocument.media_type, SHORT_NAMES.get(name, name)
    if "/" in name:
        return column == name
    return or_(column.startswith(f"{name}/", autoescape=True), column.endswith(f"/{name}", autoescape=True))
