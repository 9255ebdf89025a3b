"""Mending and cleaning a store: repair, purge, backup and restore.

The caller of repair and purge holds the writer lock; a backup needs none, and a restore takes that of the new
store. Repair reads only what verification found wrong, builds aside, and swaps in one transaction; it deletes
no document. Whatever cannot be mended from the store itself is marked, so that the next ingest reads its file
again. Purge makes sure that the bytes of deleted documents are in no file any more.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from ragstack.config import HISTORY_FILE
from ragstack.errors import StoreError, UsageError
from ragstack.store import documents, fulltext, segments
from ragstack.store.clock import now
from ragstack.store.connections import bind_ids
from ragstack.store.database import checkpoint, driver
from ragstack.store.failpoints import reached
from ragstack.store.files import make_private_directory, sync_directory, writer_lock
from ragstack.store.index import INDEX_DIRECTORY
from ragstack.store.sources import FOLDER
from ragstack.store.verification import Damage, Problem

BACKUPS = "backups"
BEFORE_MIGRATION = "before-migration-from-"
DAMAGED = "damaged in the store"

_FULL_TEXT_ROWS = (
    'SELECT c.id, c.start, c."end", c.document_id, c.headings, d.title FROM chunks c '
    "JOIN documents d ON d.id = c.document_id ORDER BY c.document_id, c.start"
)


@dataclass(frozen=True, slots=True)
class Repair:
    """One step of a repair: what it mends and what it does."""

    subject: str
    action: str


def plan_repairs(problems: Sequence[Problem]) -> list[Repair]:
    """What a repair would do about these problems; empty when there is nothing that it can mend."""
    steps = {
        Damage.SEGMENT: "make the index file anew from the vectors in the database",
        Damage.FULL_TEXT: "make all full-text rows anew from the stored texts",
        Damage.RELATION: "remove rows without their counterpart and read the documents' files again",
        Damage.TEXT: "mark the document, so that the next ingest reads its file again",
        Damage.CHUNK: "mark the document, so that the next ingest reads its file again",
        Damage.STRAY_FILE: "delete the file",
    }
    planned: dict[tuple[str, str], Repair] = {}
    for problem in problems:
        if problem.damage in steps:
            subject = "full text" if problem.damage is Damage.FULL_TEXT else problem.subject
            planned[subject, steps[problem.damage]] = Repair(subject, steps[problem.damage])
    return list(planned.values())


def repair(engine: Engine, directory: Path, problems: Sequence[Problem]) -> None:
    """Carry the plan out; the caller has made a backup. Every step is a transaction of its own."""
    damages = {problem.damage for problem in problems}
    if Damage.RELATION in damages:
        with engine.begin() as connection:
            _mend_relations(connection)
            reached("relations mended")
    marked = {
        problem.document_id
        for problem in problems
        if problem.damage in (Damage.TEXT, Damage.CHUNK) and problem.document_id is not None
    }
    if marked:
        with engine.begin() as connection:
            for document_id in sorted(marked):
                mark_for_reading(connection, document_id)
            reached("documents marked for reading")
    if damages & {Damage.FULL_TEXT, Damage.RELATION}:
        with engine.begin() as connection:
            rebuild_full_text(connection)
    for problem in problems:
        if problem.damage is Damage.SEGMENT:
            segments.rebuild(engine, directory, problem.subject)
    segments.remove_strays(engine, directory)


def mark_for_reading(connection: Connection, document_id: int) -> None:
    """Make the next ingest read a document's file again; until then it is answered from as it is."""
    connection.execute(
        text("UPDATE documents SET content_hash = '', stale_reason = :reason WHERE id = :id"),
        {"reason": DAMAGED, "id": document_id},
    )


def _mend_relations(connection: Connection) -> None:
    _mend_orphans(connection)
    statement = text(
        "SELECT DISTINCT document_id FROM chunks WHERE id NOT IN (SELECT chunk_id FROM vectors) "
        "UNION SELECT id FROM documents WHERE id NOT IN (SELECT document_id FROM document_structures)"
    )
    incomplete = list(connection.execute(statement).scalars())
    for document_id in incomplete:
        mark_for_reading(connection, document_id)
    lost = connection.execute(text("SELECT id FROM chunks WHERE id NOT IN (SELECT chunk_id FROM vectors)"))
    documents.delete_chunks(connection, list(lost.scalars()))
    for mending in (
        "DELETE FROM vectors WHERE chunk_id NOT IN (SELECT id FROM chunks)",
        "DELETE FROM dead_vectors WHERE chunk_id IN (SELECT id FROM chunks)",
        "INSERT OR IGNORE INTO document_structures(document_id, elements) SELECT id, '[]' FROM documents",
    ):
        connection.execute(text(mending))
    for document_id in incomplete:
        documents.seal(connection, document_id)


def _mend_orphans(connection: Connection) -> None:
    """Give documents whose source is lost a source again; delete every other row that lacks its parent.

    What belonged to a lost generation is read again with its document. Removing an orphan may leave others.
    """
    while orphans := connection.execute(text("PRAGMA foreign_key_check")).all():
        rows: dict[str, list[int]] = {}
        for table, rowid, *_ in orphans:
            rows.setdefault(table, []).append(int(rowid))
        for table, ids in rows.items():
            if table == "documents":
                _restore_sources(connection)
            elif table == "chunks":
                _delete_orphaned_chunks(connection, ids)
            else:
                connection.execute(
                    text(f"DELETE FROM {table} WHERE rowid IN (SELECT value FROM json_each(:ids))"),
                    {"ids": bind_ids(ids)},
                )
        reached("orphans mended")


def _restore_sources(connection: Connection) -> None:
    """A source at an invented root for each lost one; `ragstack sources relocate` gives it the true root."""
    lost = connection.execute(
        text("SELECT DISTINCT source_id FROM documents WHERE source_id NOT IN (SELECT id FROM sources)")
    ).scalars()
    for source_id in lost.all():
        connection.execute(
            text("INSERT INTO sources(id, kind, root, created_at) VALUES (:id, :kind, :root, :created_at)"),
            {"id": source_id, "kind": FOLDER, "root": f"/lost-source-{source_id}", "created_at": now()},
        )


def _delete_orphaned_chunks(connection: Connection, chunk_ids: Sequence[int]) -> None:
    """Delete chunks that lack their document or their generation, and have the documents read again."""
    bound = {"ids": bind_ids(chunk_ids)}
    owners = connection.execute(
        text("SELECT DISTINCT document_id FROM chunks WHERE id IN (SELECT value FROM json_each(:ids))"), bound
    )
    for document_id in owners.scalars().all():
        mark_for_reading(connection, document_id)
    known = text(
        "SELECT id FROM chunks WHERE id IN (SELECT value FROM json_each(:ids)) "
        "AND generation_id IN (SELECT id FROM generations)"
    )
    documents.delete_chunks(connection, list(connection.execute(known, bound).scalars()))
    fulltext.delete_rows(driver(connection), chunk_ids)
    connection.execute(text("DELETE FROM chunks WHERE id IN (SELECT value FROM json_each(:ids))"), bound)


def rebuild_full_text(connection: Connection) -> None:
    """Make the full-text table anew from the stored texts; the old one is dropped, however broken it is."""
    created = connection.execute(
        text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": fulltext.TABLE}
    ).scalar_one()
    connection.execute(text(f"DROP TABLE {fulltext.TABLE}"))
    connection.execute(text(created))
    document_id, body = -1, ""
    pending: list[tuple[int, str, str]] = []
    for row in connection.execute(text(_FULL_TEXT_ROWS)).all():
        if row.document_id != document_id:
            document_id, body = row.document_id, _text_of(connection, row.document_id)
            fulltext.insert_rows(driver(connection), pending)
            pending = []
        headings = fulltext.searchable_headings(row.title, fulltext.headings_from_json(row.headings))
        pending.append((row.id, body[row.start : row.end], headings))
    fulltext.insert_rows(driver(connection), pending)
    reached("full text rebuilt")


def _text_of(connection: Connection, document_id: int) -> str:
    rows = connection.execute(
        text("SELECT text FROM text_blocks WHERE document_id = :id ORDER BY start"), {"id": document_id}
    )
    return "".join(rows.scalars())


# ---------------------------------------------------------------------------- purge


def purge(engine: Engine, directory: Path, generation_ids: Sequence[int]) -> None:
    """Rewrite every file of the store, so that nothing of a deleted document is left in any of them.

    Raises StoreError when a reader keeps the old write-ahead log in use.
    """
    for generation_id in generation_ids:
        segments.rewrite_all(engine, directory, generation_id)
    segments.remove_retired(engine, directory)
    segments.remove_strays(engine, directory)
    for name in (BACKUPS, segments.QUARANTINE):
        if (directory / name).is_dir():
            shutil.rmtree(directory / name)
            sync_directory(directory)
            reached("backups deleted")
    with engine.begin() as connection:
        rebuild_full_text(connection)
    checkpoint(engine)
    reached("log emptied")
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("VACUUM")
    finally:
        raw.close()
    reached("database vacuumed")
    if not checkpoint(engine):
        raise StoreError(
            "the purge is not complete: a reader keeps the log in use, which still holds old text",
            hint="end the processes that read the store and run `ragstack purge` again",
        )


# ------------------------------------------------------------------- backup, restore


def backup(database: Path, directory: Path, destination: Path) -> Path:
    """Copy the store, consistent while others write, to the new directory `destination`; returns it.

    Index files that vanish while they are copied are left out: the copy makes them anew from its vectors.
    """
    if destination.exists() and any(destination.iterdir()):
        raise UsageError(f"`{destination}` is not empty", hint="name a new directory for the backup")
    make_private_directory(destination)
    aside = destination / f".{database.name}.unfinished"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(aside)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        names = [row[0] for row in copy.execute("SELECT file FROM segments")]
    reached("database backed up")
    _copy_history(directory, destination)
    make_private_directory(destination / INDEX_DIRECTORY)
    for name in names:
        with suppress(FileNotFoundError):
            shutil.copyfile(directory / INDEX_DIRECTORY / name, destination / INDEX_DIRECTORY / name)
            reached("index file backed up")
    _sync_tree(destination)
    aside.replace(destination / database.name)  # only a finished backup can be restored
    reached("backup finished")
    sync_directory(destination)
    return destination


def _copy_history(directory: Path, destination: Path) -> None:
    """What was asked of the store, if anything was; as of one moment, too."""
    if not _was_asked(directory):
        return
    with (
        closing(sqlite3.connect(directory / HISTORY_FILE)) as source,
        closing(sqlite3.connect(destination / HISTORY_FILE)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    reached("history backed up")


def _was_asked(directory: Path) -> bool:
    """Whether there is a history with something in it; one that cannot be read counts, too."""
    database = directory / HISTORY_FILE
    if not database.is_file():
        return False
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT 1 FROM turns LIMIT 1").fetchone() is not None
    return True


def _sync_tree(folder: Path) -> None:
    import os

    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            sync_directory(path)
        else:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    sync_directory(folder)


def new_backup_directory(directory: Path, prefix: str = "") -> Path:
    """Where a repair or a migration of the store in `directory` puts its backup."""
    name = prefix + now().replace(":", "").replace("+0000", "Z")
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(path for each in names if not (path := directory / BACKUPS / each).exists())


def back_up_for_migration(database: Path, directory: Path, revision: str | None) -> Path:
    """A backup of the store as it is before its schema is changed; StoreError when there is no room for it.

    A migration writes the database again into the log, so that room for that is asked for as well.
    """
    database_bytes = sum(path.stat().st_size for path in directory.glob(f"{database.name}*"))
    index_bytes = sum(path.stat().st_size for path in (directory / INDEX_DIRECTORY).glob("*"))
    needed, free = 2 * database_bytes + index_bytes, shutil.disk_usage(directory).free
    if free < needed:
        raise StoreError(
            f"migrating `{directory}` needs {needed / 1e6:,.1f} MB for a backup and the log, and "
            f"{free / 1e6:,.1f} MB are free",
            hint="free some space and run the command again; the store is as it was",
        )
    return backup(database, directory, new_backup_directory(directory, f"{BEFORE_MIGRATION}{revision}-"))


def keep_only_migration_backup(directory: Path, kept: Path) -> None:
    """Delete the backups of earlier migrations: one is enough to go back, and each holds every text."""
    for folder in (directory / BACKUPS).glob(f"{BEFORE_MIGRATION}*"):
        if folder != kept:
            shutil.rmtree(folder)


def remove_unfinished_backups(directory: Path, database_name: str) -> None:
    """Delete the backups that a crash cut short. The caller holds the writer lock."""
    for folder in (directory / BACKUPS).glob("*"):
        if folder.is_dir() and not (folder / database_name).is_file():
            shutil.rmtree(folder)


def restore(source: Path, database_name: str, directory: Path) -> None:
    """Make a store in `directory`, which must hold none, from the backup in `source`.

    Holds the writer lock of the new store, so that nobody makes another one there meanwhile.
    """
    if not (source / database_name).is_file():
        raise UsageError(f"`{source}` holds no `{database_name}`", hint="name a directory made by `backup`")
    _require_no_store(directory, database_name)
    make_private_directory(directory)
    with writer_lock(directory, wait_seconds=0):
        _require_no_store(directory, database_name)
        _copy_backup(source, database_name, directory)


def _require_no_store(directory: Path, database_name: str) -> None:
    if (directory / database_name).exists():
        raise StoreError(
            f"there is a store at `{directory}` already",
            hint="restore into another place with `--store DIR`, or move the old store away first",
        )


def _copy_backup(source: Path, database_name: str, directory: Path) -> None:
    """Index files first, then the database aside; only its name makes a store of them."""
    index = source / INDEX_DIRECTORY
    make_private_directory(directory / INDEX_DIRECTORY)
    for path in sorted(index.glob("*.faiss")) if index.is_dir() else []:
        shutil.copyfile(path, directory / INDEX_DIRECTORY / path.name)
    if (source / HISTORY_FILE).is_file() and not _was_asked(directory):
        for end in ("-wal", "-shm"):
            (directory / f"{HISTORY_FILE}{end}").unlink(missing_ok=True)
        shutil.copyfile(source / HISTORY_FILE, directory / HISTORY_FILE)
    aside = directory / f".{database_name}.restored"
    shutil.copyfile(source / database_name, aside)
    reached("database restored aside")
    _sync_tree(directory)
    aside.replace(directory / database_name)
    reached("database restored")
    sync_directory(directory)
