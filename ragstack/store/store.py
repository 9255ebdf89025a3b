"""Opening a store: its directory, its database, one snapshot for a reader, one lock for a writer.

Reading never creates a store nor changes its documents. A store is a directory with `ragstack.db` (and
SQLite's two companions), `index/` with the FAISS segments, and the writer's lock file.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ragstack.config import DATABASE_FILE
from ragstack.errors import StoreDamagedError, StoreError, StoreNotFoundError
from ragstack.store import migrations
from ragstack.store.catalog import DiskUse
from ragstack.store.clock import now
from ragstack.store.connections import ReadingConnections, connect, damage_reported, empty_log, scalar
from ragstack.store.failpoints import reached
from ragstack.store.files import FILE_MODE, make_private_directory, sync_directory, writer_lock
from ragstack.store.generations import current_generation
from ragstack.store.index import INDEX_DIRECTORY, VectorIndex, load_index
from ragstack.store.snapshot import Memory, Snapshot

if TYPE_CHECKING:  # what changes a store imports SQLAlchemy, and a question should not wait for that
    from sqlalchemy.engine import Engine

    from ragstack.store.maintenance import Repair
    from ragstack.store.verification import Verification
    from ragstack.store.writer import Writer

WAIT_SECONDS = 10.0
"""How long a second writer waits for the first before it gives up and names it."""


def _ignore(_warning: str) -> None:
    """For callers that do not want to hear of healed failures."""


class Store:
    """A store directory, opened. Safe to use from several threads; a context manager.

    Implements `protocols.DocumentStore`.
    """

    def __init__(self, directory: Path, *, warn: Callable[[str], None] = _ignore) -> None:
        self.directory = directory
        self.database = directory / DATABASE_FILE
        self._warn = warn
        self._index: VectorIndex | None = None
        self._memory = Memory(0)
        self._index_lock = threading.Lock()
        self._reading = ReadingConnections(self.database)

    @classmethod
    def open(cls, directory: Path, *, warn: Callable[[str], None] = _ignore) -> Store:
        """Open an existing store, migrating it if it is older; StoreNotFoundError if there is none.

        Before a migration the store is backed up, and `warn` is told where the backup lies.
        """
        store = cls(directory, warn=warn)
        if not store.database.is_file():
            raise StoreNotFoundError(
                f"there is no store at `{directory}`", hint="run `ragstack ingest FOLDER` to make one"
            )
        with damage_reported(store.database):
            if migrations.needs_upgrade(store.database):
                with writer_lock(directory, wait_seconds=WAIT_SECONDS):
                    store._migrate()
        return store

    def _migrate(self) -> None:
        """Back up and migrate, unless another process has done so. The caller holds the writer lock."""
        if not migrations.needs_upgrade(self.database):
            return
        from ragstack.store import maintenance

        older = migrations.revision(self.database)
        saved = maintenance.back_up_for_migration(self.database, self.directory, older)
        self._warn(f"schema {older} is migrated to {migrations.HEAD}; the store as it was is in `{saved}`")
        migrations.upgrade(self.database)
        maintenance.keep_only_migration_backup(self.directory, saved)

    @classmethod
    def create(cls, directory: Path, *, warn: Callable[[str], None] = _ignore) -> Store:
        """Open the store in `directory`, making an empty one if there is none."""
        if not (directory / DATABASE_FILE).is_file():
            make_private_directory(directory)
            with writer_lock(directory, wait_seconds=WAIT_SECONDS):
                if not (directory / DATABASE_FILE).is_file():
                    _make_database(directory)
        return cls.open(directory, warn=warn)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the database."""
        self._reading.close()

    @contextmanager
    def read(self, *, healing: bool = True) -> Iterator[Snapshot]:
        """One committed state of the store; the vector index is brought up to it.

        With `healing`, index files that were found damaged are made anew afterwards, if no other process is
        writing.
        """
        with damage_reported(self.database), self._reading.transaction() as connection:
            index = self._index_for(connection)
            yield Snapshot(connection, index, self._memory_of(index))
        if healing and index is not None and index.damaged:
            self._heal_in_passing()

    def _memory_of(self, index: VectorIndex | None) -> Memory:
        """What readers of the same state have read: kept for the latest state alone."""
        if index is None:
            return Memory(0)
        with self._index_lock:
            if self._memory.sequence < index.sequence:
                self._memory = Memory(index.sequence)
            return self._memory if self._memory.sequence == index.sequence else Memory(index.sequence)

    def _heal_in_passing(self) -> None:
        """Mend damaged index files under the writer lock, without waiting for it and without failing."""
        try:
            with self.write(wait_seconds=0):
                pass
        except (StoreError, OSError):
            self._warn("the damaged index file stays for now: the store cannot be written at the moment")

    def _index_for(self, connection: sqlite3.Connection) -> VectorIndex | None:
        sequence = scalar(connection, "SELECT sequence FROM store_info")
        if sequence is None:
            raise StoreDamagedError(
                f"the database `{self.database}` does not describe itself",
                hint="restore a backup, or ingest the folders again into a new store with `--store DIR`",
            )
        with self._index_lock:
            held = self._index
            if held is not None and held.sequence == sequence:
                return held
            generation = current_generation(connection)
            if generation is None:
                return None
            loaded = load_index(
                connection,
                self.directory,
                generation_id=generation.id,
                dimension=generation.fingerprint.dimension,
                sequence=sequence,
                previous=held,
                warn=self._warn,
            )
            if held is None or held.sequence < sequence:
                self._index = loaded
            return loaded

    @contextmanager
    def write(self, *, wait_seconds: float = WAIT_SECONDS, healing: bool = True) -> Iterator[Writer]:
        """The right to change the store, held by one process at a time.

        With `healing`, what a crash left behind is cleaned up first.
        """
        from ragstack.store import maintenance
        from ragstack.store.database import checkpoint, open_engine
        from ragstack.store.segments import remove_strays
        from ragstack.store.writer import Writer, drop_retired_generations

        with writer_lock(self.directory, wait_seconds=wait_seconds), damage_reported(self.database):
            engine = open_engine(self.database)
            try:
                if healing:
                    _remove_unfinished(self.directory)
                    maintenance.remove_unfinished_backups(self.directory, DATABASE_FILE)
                    remove_strays(engine, self.directory)
                    self._heal(engine)
                    drop_retired_generations(engine, self.directory)
                yield Writer(engine, self.directory)
                checkpoint(engine)
            finally:
                engine.dispose()

    def _heal(self, engine: Engine) -> None:
        """Make published index files anew that are missing, too short, or were found damaged by a reader."""
        from ragstack.store.segments import published_files, rebuild

        damaged = set(self._index.damaged) if self._index is not None else set()
        for file, size in published_files(engine):
            path = self.directory / INDEX_DIRECTORY / file
            if file in damaged or not path.is_file() or path.stat().st_size != size:
                rebuild(engine, self.directory, file)
                if file not in damaged:  # the reader has said so already
                    self._warn(f"index segment `{file}` was missing or cut short; made anew")

    # ---------------------------------------------------------------------- upkeep

    def disk_use(self) -> DiskUse:
        """Bytes on disk by part."""
        log = self.database.with_name(f"{self.database.name}-wal")
        return DiskUse(
            database=self.database.stat().st_size,
            write_ahead_log=log.stat().st_size if log.exists() else 0,
            index=sum(path.stat().st_size for path in (self.directory / INDEX_DIRECTORY).glob("*")),
        )

    def verify(self, *, share: float = 0.0, seed: int = 0) -> Verification:
        """Check the store against itself: quickly, or (`share` of the documents) down to every byte."""
        from ragstack.store import verification

        with self.read(healing=False) as snapshot:
            return verification.verify(snapshot.connection, self.directory, share=share, seed=seed)

    def repair(self, *, apply: bool = False) -> tuple[Verification, list[Repair], Path | None]:
        """What is wrong, what mends it, and (`apply`) mend it after a backup, whose path is returned."""
        from ragstack.store import maintenance

        with self.write(healing=False) as writer:
            found = self.verify(share=1.0)
            repairs = maintenance.plan_repairs(found.problems)
            if not apply or not repairs:
                return found, repairs, None
            place = maintenance.new_backup_directory(self.directory)
            saved = maintenance.backup(self.database, self.directory, place)
            maintenance.repair(writer.engine, self.directory, found.problems)
        return found, repairs, saved

    def purge(self) -> None:
        """Make sure that nothing of deleted documents is left in any file of the store."""
        from ragstack.store import maintenance

        with self.write() as writer:
            generation = writer.generation()
            ids = [generation.id] if generation else []
            maintenance.purge(writer.engine, self.directory, ids)

    def backup(self, destination: Path) -> Path:
        """Copy the store, as of one moment, into the new directory `destination`, while others may write."""
        from ragstack.store import maintenance

        return maintenance.backup(self.database, self.directory, destination)


def _make_database(directory: Path) -> None:
    """An empty database under a temporary name, complete before it gets its own."""
    aside = directory / f".{DATABASE_FILE}.{uuid.uuid4().hex}"
    try:
        migrations.upgrade(aside)
        reached("database migrated aside")
        with closing(connect(aside, writable=True)) as connection:
            connection.execute(
                "INSERT INTO store_info (id, identity, created_at, sequence) VALUES (1, ?, ?, 0)",
                (uuid.uuid4().hex, now()),
            )
            empty_log(connection)
        aside.chmod(FILE_MODE)
        reached("database made aside")
        aside.replace(directory / DATABASE_FILE)
        sync_directory(directory)
        reached("database named")
    finally:
        _remove_unfinished(directory)


def _remove_unfinished(directory: Path) -> None:
    """Delete databases that a crash left under their temporary names. The caller holds the writer lock."""
    for path in directory.glob(f".{DATABASE_FILE}.*"):
        path.unlink(missing_ok=True)
