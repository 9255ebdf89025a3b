"""Checking a store against itself: what is damaged, what disagrees, and what would mend it. Never writes.

The fast check compares structure and counts and the hashes of index files; the deep one recomputes every
chunk's checksum, compares every vector of every segment with the one in SQLite by id, and compares the
full-text index with one made anew from its rows. Counts alone prove nothing: two errors can cancel out.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from ragstack.store import documents, fulltext, integrity
from ragstack.store import vectors as faiss_side
from ragstack.store.connections import IDS_IN, bind_ids, column, fetch, fetch_one, scalar
from ragstack.store.fulltext_check import check_index
from ragstack.store.index import INDEX_DIRECTORY, load_checked, read_checked
from ragstack.store.stored_vectors import read_vectors_of
from ragstack.words import character_pairs

BATCH = 1_000
"""Chunks whose texts and vectors are held in memory at once."""


class Damage(StrEnum):
    """What kind of thing is wrong, which decides what mends it."""

    DATABASE = "database"
    RELATION = "relation"
    TEXT = "text"
    CHUNK = "chunk"
    FULL_TEXT = "full text"
    SEGMENT = "segment"
    STRAY_FILE = "stray file"
    UNCHECKED = "not checked"


REMEDIES = {
    Damage.DATABASE: "restore a backup with `ragstack restore`, or ingest into a new store",
    Damage.RELATION: "run `ragstack repair --apply`",
    Damage.TEXT: "run `ragstack repair --apply`, then `ragstack ingest` to read the file again",
    Damage.CHUNK: "run `ragstack repair --apply`, then `ragstack ingest` to read the file again",
    Damage.FULL_TEXT: "run `ragstack repair --apply`",
    Damage.SEGMENT: "run `ragstack repair --apply`",
    Damage.STRAY_FILE: "none needed: the next writing command removes it",
    Damage.UNCHECKED: "run `ragstack verify --deep` when no other process writes to the store",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what kind, where, how, and the document it belongs to if there is one."""

    damage: Damage
    subject: str
    detail: str
    document_id: int | None = None

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.damage]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked and what was found; `chunks_checked` of `chunks` had their checksums recomputed."""

    problems: tuple[Problem, ...]
    documents: int
    chunks: int
    chunks_checked: int
    segments: int
    seed: int | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong (a stray file is not) and nothing was left out of the check."""
        return all(problem.damage is Damage.STRAY_FILE for problem in self.problems)


def verify(
    connection: sqlite3.Connection, directory: Path, *, share: float = 0.0, seed: int = 0
) -> Verification:
    """Check the committed state that `connection` sees.

    `share` of the documents (0: none, 1: all) have their texts, chunks and vectors recomputed; a share
    below 1 is drawn with `seed`. With any share the vectors in the segments and the full-text index are
    checked too.
    """
    problems = list(_database_problems(connection, deep=share > 0))
    if problems:
        return Verification(tuple(problems), 0, 0, 0, 0)
    problems += _relation_problems(connection)
    problems += _segment_problems(connection, directory, deep=share > 0)
    document_ids = column(connection, "SELECT id FROM documents ORDER BY id")
    checked = 0
    if share > 0:
        problems += _full_text_problems(connection)
        chosen = document_ids if share >= 1 else _sample(document_ids, share, seed)
        for document_id in chosen:
            found, count = _document_problems(connection, document_id)
            problems += found
            checked += count
    return Verification(
        problems=tuple(problems),
        documents=len(document_ids),
        chunks=_count(connection, "SELECT count(*) FROM chunks"),
        chunks_checked=checked,
        segments=_count(connection, "SELECT count(*) FROM segments WHERE retired_at IS NULL"),
        seed=seed if 0 < share < 1 else None,
    )


def _sample(documents: Sequence[int], share: float, seed: int) -> list[int]:
    size = min(len(documents), max(1, round(share * len(documents)))) if documents else 0
    return sorted(random.Random(seed).sample(documents, size))  # noqa: S311 - a sample, not a secret


def _count(connection: sqlite3.Connection, statement: str) -> int:
    return int(scalar(connection, statement))


def _database_problems(connection: sqlite3.Connection, *, deep: bool) -> Iterator[Problem]:
    """What SQLite itself says of its file; only the deep check compares indexes with their tables."""
    check = "integrity_check" if deep else "quick_check"
    try:
        rows = [str(row) for row in column(connection, f"PRAGMA {check}(20)")]
    except sqlite3.DatabaseError as error:
        rows = [str(error)]
    for row in rows:
        if row != "ok":
            yield Problem(Damage.DATABASE, "ragstack.db", row)


_RELATIONS = {
    "chunks without a vector": "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk_id FROM vectors)",
    "vectors without a chunk": "SELECT count(*) FROM vectors WHERE chunk_id NOT IN (SELECT id FROM chunks)",
    "documents without a structure": (
        "SELECT count(*) FROM documents WHERE id NOT IN (SELECT document_id FROM document_structures)"
    ),
    "masked ids that are alive": (
        "SELECT count(*) FROM dead_vectors WHERE chunk_id IN (SELECT id FROM chunks)"
    ),
    "stores described": "SELECT abs(count(*) - 1) FROM store_info",
    "current generations beyond one": (
        "SELECT max(0, count(*) - 1) FROM generations WHERE state = 'current'"
    ),
}

_FULL_TEXT_RELATIONS = {
    "chunks without a full-text row": (
        f"SELECT count(*) FROM chunks WHERE id NOT IN (SELECT rowid FROM {fulltext.TABLE})"
    ),
    "full-text rows without a chunk": (
        f"SELECT count(*) FROM {fulltext.TABLE} WHERE rowid NOT IN (SELECT id FROM chunks)"
    ),
}


def _relation_problems(connection: sqlite3.Connection) -> Iterator[Problem]:
    """Rows that must come together and do not."""
    for broken in fetch(connection, "PRAGMA foreign_key_check"):
        yield Problem(Damage.RELATION, str(broken[0]), f"row {broken[1]} lacks its parent in {broken[2]}")
    for damage, relations in ((Damage.RELATION, _RELATIONS), (Damage.FULL_TEXT, _FULL_TEXT_RELATIONS)):
        for name, statement in relations.items():
            number = _count(connection, statement)
            if number:
                yield Problem(damage, name, f"{number:,}")


def _full_text_problems(connection: sqlite3.Connection) -> Iterator[Problem]:
    """What is wrong with the full-text index, and what of it could not be looked at."""
    path = fetch_one(connection, "PRAGMA database_list")
    assert path is not None
    checked = check_index(Path(str(path[2])))
    for detail in checked.problems:
        yield Problem(Damage.FULL_TEXT, fulltext.TABLE, detail)
    if checked.unchecked:
        yield Problem(Damage.UNCHECKED, fulltext.TABLE, f"FTS5 could not be asked ({checked.unchecked})")


# ------------------------------------------------------------------------- segments


def _segment_problems(connection: sqlite3.Connection, directory: Path, *, deep: bool) -> Iterator[Problem]:
    rows = fetch(
        connection,
        "SELECT s.*, g.dimension FROM segments s JOIN generations g ON g.id = s.generation_id ORDER BY s.id",
    )
    for row in rows:
        if row["retired_at"] is not None:
            continue  # a reader may have it open, and nobody needs it: a copied store may well lack it
        path = directory / INDEX_DIRECTORY / row["file"]
        problem = _file_problem(path, row)
        if problem is None:
            problem = _coverage_problem(connection, path, row, deep=deep)
        if problem is not None:
            yield Problem(Damage.SEGMENT, row["file"], problem)
    named = {row["file"] for row in rows}
    for path in sorted((directory / INDEX_DIRECTORY).glob("*")):
        if path.is_file() and path.name not in named:
            yield Problem(Damage.STRAY_FILE, path.name, "no manifest row names it")


def _file_problem(path: Path, row: sqlite3.Row) -> str | None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if size != row["bytes"]:
        return f"has {size:,} bytes instead of {row['bytes']:,}"
    if digest != row["sha256"]:
        return "does not have the sha256 of its manifest"
    return None


def _coverage_problem(
    connection: sqlite3.Connection, path: Path, row: sqlite3.Row, *, deep: bool
) -> str | None:
    """Whether a segment holds exactly the chunks of its range: the live ones and the masked ones."""
    bound = {
        "generation": row["generation_id"], "first": row["first_chunk_id"], "last": row["last_chunk_id"]
    }  # fmt: skip
    live = "SELECT id FROM chunks WHERE generation_id = :generation AND id BETWEEN :first AND :last"
    dead = (
        "SELECT chunk_id FROM dead_vectors WHERE generation_id = :generation "
        "AND chunk_id BETWEEN :first AND :last"
    )
    expected = set(column(connection, f"{live} UNION ALL {dead}", bound))
    if len(expected) != row["vectors"]:
        return f"its manifest counts {row['vectors']:,} vectors, the database {len(expected):,}"
    if not deep:
        return None
    read = read_checked(path, row["bytes"], row["sha256"])
    if isinstance(read, str):
        return read
    try:
        segment = load_checked(read, row, row["dimension"])
    except ValueError as error:
        return f"cannot be loaded ({error})"
    if set(segment.ids.tolist()) != expected:
        return "holds other ids than the database"
    return _vector_problem(connection, segment, row)


def _vector_problem(
    connection: sqlite3.Connection, segment: faiss_side.VectorSegment, row: sqlite3.Row
) -> str | None:
    """Whether each live chunk has its own vector, part by part: a segment may be larger than the memory."""
    different = 0
    for ids, codes in segment.parts():
        stored_ids, rows = read_vectors_of(connection, ids, row["dimension"])
        order = np.argsort(ids)
        held = codes[order][np.isin(ids[order], stored_ids)]
        different += int(np.count_nonzero(~segment.agrees(held, rows)))
    return f"{different:,} vectors differ from the database" if different else None


# ------------------------------------------------------------------------ documents


def _document_problems(connection: sqlite3.Connection, document_id: int) -> tuple[list[Problem], int]:
    """What is wrong with a document's text, chunks, vectors and full-text rows; its number of chunks."""
    [(path, characters, text_hash, checksum)] = connection.execute(
        "SELECT path, characters, text_hash, checksum FROM documents WHERE id = ?", (document_id,)
    )
    subject = f"document {document_id} ({path})"
    try:
        blocks = connection.execute(
            'SELECT start, "end", text FROM text_blocks WHERE document_id = ? ORDER BY start', (document_id,)
        ).fetchall()
        body = "".join(part for _, _, part in blocks)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return [Problem(Damage.TEXT, subject, f"its text cannot be read ({error})", document_id)], 0
    problems = []
    if len(body) != characters or integrity.text_hash(body) != text_hash:
        problems.append(Problem(Damage.TEXT, subject, "its text does not have its hash", document_id))
    if documents.checksum_of(connection, document_id) != checksum:
        detail = "its title, metadata, structure or line numbers do not have their checksum"
        problems.append(Problem(Damage.TEXT, subject, detail, document_id))
    if any(end - start != len(part) for start, end, part in blocks):
        problems.append(Problem(Damage.TEXT, subject, "its text blocks have wrong offsets", document_id))
    chunk_ids = column(connection, "SELECT id FROM chunks WHERE document_id = ? ORDER BY id", (document_id,))
    for at in range(0, len(chunk_ids), BATCH):
        problems += _chunk_problems(connection, chunk_ids[at : at + BATCH], body, subject, document_id)
    return problems, len(chunk_ids)


def _chunk_problems(
    connection: sqlite3.Connection, chunk_ids: Sequence[int], body: str, subject: str, document_id: int
) -> Iterator[Problem]:
    statement = (
        "SELECT c.*, v.vector, f.body, f.pairs, f.headings AS searchable, d.title "
        "FROM chunks c JOIN vectors v ON v.chunk_id = c.id JOIN documents d ON d.id = c.document_id "
        f"LEFT JOIN {fulltext.TABLE} f ON f.rowid = c.id "
        f"WHERE c.id {IDS_IN.format('ids')}"
    )
    try:
        rows = fetch(connection, statement, {"ids": bind_ids(chunk_ids)})
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        yield Problem(Damage.CHUNK, subject, f"its chunks cannot be read ({error})", document_id)
        return
    for row in rows:
        chunk_text = body[row["start"] : row["end"]]
        if not integrity.is_intact(row, chunk_text, row["vector"]):
            detail = f"chunk {row['id']} does not have its checksum (text, span, headings or vector changed)"
            yield Problem(Damage.CHUNK, subject, detail, document_id)
            continue
        headings = fulltext.searchable_headings(row["title"], fulltext.headings_from_json(row["headings"]))
        made = (chunk_text, headings, character_pairs(chunk_text))
        if (row["body"], row["searchable"], row["pairs"]) != made:
            detail = f"the full-text row of chunk {row['id']} has another text"
            yield Problem(Damage.FULL_TEXT, subject, detail, document_id)
