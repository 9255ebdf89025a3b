"""How SQLite is opened: engines, PRAGMAs and transactions; the statements that only SQLite knows.

Not responsible for what is in the tables. Every setting here has its measurement in the reliability notes of
the project: the driver's own transaction control loses updates, WAL with `synchronous=NORMAL` loses
acknowledged commits at power loss, and foreign keys are off unless asked for.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from ragstack.errors import StoreDamagedError, StoreError

if TYPE_CHECKING:
    AnyRow = Row[*tuple[Any, ...]]

    from sqlalchemy.sql.elements import TextClause

BUSY_TIMEOUT_MS = 10_000
"""How long a statement waits for another process's transaction; writers are serialised by a file lock."""

DAMAGE_SIGNS = (
    "malformed", "not a database", "disk image", "Could not decode", "vtable constructor failed", "fts5",
    "no such table", "no such column", "unsupported file format",
)  # fmt: skip
"""What SQLite and its driver say of a database whose bytes are not what was written."""

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    "recursive_triggers=ON",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "mmap_size=0",
    "secure_delete=ON",
    "fullfsync=ON",  # macOS only, a no-op elsewhere
    "checkpoint_fullfsync=ON",
)


def open_engine(path: Path, *, writable: bool) -> Engine:
    """Engine for the database at `path`, which must exist unless `writable`.

    A writable engine begins every transaction with BEGIN IMMEDIATE; a reading one is `query_only`.
    """
    mode = "rwc" if writable else "rw"
    engine = create_engine(
        f"sqlite:///file:{_quote(path)}?mode={mode}&uri=true",
        poolclass=QueuePool,
        pool_size=1 if writable else 4,
        max_overflow=0 if writable else 16,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine, "connect", _on_connect(writable))
    begin = "BEGIN IMMEDIATE" if writable else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _quote(path: Path) -> str:
    from urllib.parse import quote

    return quote(path.resolve().as_posix())


def _on_connect(writable: bool) -> Any:
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        cursor = connection.cursor()
        try:
            for pragma in _PRAGMAS:
                cursor.execute(f"PRAGMA {pragma}")
            mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
            if mode != "wal":
                raise StoreError(
                    f"SQLite cannot use write-ahead logging here (journal mode is `{mode}`)",
                    hint="keep the store on a local file system, not on a network share",
                )
            if not writable:
                cursor.execute("PRAGMA query_only=ON")
        except UnicodeDecodeError as error:  # the driver cannot even decode SQLite's complaint
            raise sqlite3.DatabaseError("database disk image is malformed") from error
        finally:
            cursor.close()

    return configure


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turn SQLite's own words for damage, a full disk and failing I/O into an error that says what to do."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        reason = str(error.orig if isinstance(error, DatabaseError) else error)
        if any(sign in reason for sign in DAMAGE_SIGNS):
            raise StoreDamagedError(
                f"the database `{path}` is damaged: {reason}",
                hint="restore a backup, or ingest the folders again into a new store with `--store DIR`",
            ) from error
        if any(sign in reason for sign in ("is full", "I/O error", "unable to open", "readonly")):
            raise StoreError(
                f"the database `{path}` cannot be read or written: {reason}",
                hint="check free space, permissions and the disk, and run the command again; "
                "what was committed before is safe",
            ) from error
        raise


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn what decoders say of a stored value that is not what was written into StoreDamagedError."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamagedError(
            f"{what} cannot be read as it was written ({error})",
            hint="run `ragstack verify --deep` to see what is damaged",
        ) from error


def ids_in(name: str) -> TextClause:
    """Subquery over a list of integers bound as JSON (see `bind_ids`): no limit on their number."""
    return text(f"SELECT value FROM json_each(:{name})")


def bind_ids(ids: Iterable[int]) -> str:
    """The value to bind for `ids_in`."""
    return json.dumps([int(value) for value in ids])


def last_id(connection: Connection, table: str) -> int:
    """The highest id that `table` ever gave out; the next ones may be assigned from here in a transaction."""
    row = connection.execute(
        text("SELECT seq FROM sqlite_sequence WHERE name = :table"), {"table": table}
    ).scalar()
    return int(row or 0)


def data_version(connection: Connection) -> int:
    """Changes whenever another connection has committed."""
    return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())


def checkpoint(engine: Engine) -> bool:
    """Move the write-ahead log into the database and truncate it, as far as readers allow at this moment.

    Returns whether the log is empty now.
    """
    emptied = True
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA busy_timeout=0")  # an open reader may stay for as long as it likes
        _, frames, _ = cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if frames:  # truncating an empty log would look like a commit to other connections
            emptied = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    finally:
        raw.close()
    return emptied
