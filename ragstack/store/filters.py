"""Which documents a `Filter` lets through, decided before any search runs."""

from __future__ import annotations

import sqlite3
from typing import Any

from ragstack.records import Filter
from ragstack.store.connections import IDS_IN, bind_ids

SHORT_NAMES = {"md": "markdown", "txt": "plain", "htm": "html"}
"""File extensions that people write where the media type has another word."""


_HAS_METADATA = (
    "EXISTS (SELECT 1 FROM document_metadata "
    "WHERE document_id = documents.id AND key = :key{0} AND value = :value{0})"
)


def matching_documents(connection: sqlite3.Connection, where: Filter) -> list[int] | None:
    """Ids of the documents that pass; None when there is no condition, so that all do."""
    if where.is_empty:
        return None
    conditions, bound = _conditions(where)
    only = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(f"SELECT id, path FROM documents {only}", bound).fetchall()
    if not where.paths:
        return [document_id for document_id, _ in rows]
    from pathspec import GitIgnoreSpec

    globs = GitIgnoreSpec.from_lines(where.paths)
    return [document_id for document_id, path in rows if globs.match_file(path)]


def _conditions(where: Filter) -> tuple[list[str], dict[str, Any]]:
    """All conditions but the paths, in SQL, and the values that are bound in them."""
    conditions: list[str] = []
    bound: dict[str, Any] = {}
    if where.media_types:
        of_type = [_media_type(number, name, bound) for number, name in enumerate(where.media_types)]
        conditions.append(f"({' OR '.join(of_type)})")
    if where.since is not None:
        conditions.append("mtime_ns >= :since")
        bound["since"] = int(where.since.timestamp() * 1e9)
    if where.until is not None:
        conditions.append("mtime_ns <= :until")
        bound["until"] = int(where.until.timestamp() * 1e9)
    if where.documents:
        conditions.append(f"id {IDS_IN.format('named')}")
        bound["named"] = bind_ids(where.documents)
    for number, (key, value) in enumerate(where.metadata):
        conditions.append(_HAS_METADATA.format(number))
        bound |= {f"key{number}": key, f"value{number}": value}
    return conditions, bound


def _media_type(number: int, name: str, bound: dict[str, Any]) -> str:
    """`text/html`, or only its main (`text`) or sub part (`html`)."""
    name = SHORT_NAMES.get(name, name)
    bound[f"type{number}"] = name
    if "/" in name:
        return f"media_type = :type{number}"
    part = "substr(media_type, {}) = :type{} COLLATE NOCASE"
    main, sub = "1, instr(media_type, '/') - 1", "instr(media_type, '/') + 1"
    return f"({part.format(main, number)} OR {part.format(sub, number)})"
