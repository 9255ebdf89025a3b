"""SQLite connections: how each is set up, statements that read on one, and what SQLite's errors mean.

Whatever reads a store or its history does so in SQL through the functions here, and imports no SQLAlchemy:
that would take a third of a cold question's time. The schema and what changes documents are SQLAlchemy's part
(`models`, `database`), whose connections lend the one beneath them to the same reading functions. The PRAGMAs
have their measurements in the reliability notes of the project: WAL with `synchronous=NORMAL` loses
acknowledged commits at power loss, and foreign keys are off unless asked for.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ragstack.errors import StoreDamagedError, StoreError

BUSY_TIMEOUT_MS = 10_000
"""How long a statement waits for another process's transaction; writers are serialised by a file lock."""

KEPT_CONNECTIONS = 4
"""Connections that wait for the next reader; more are opened when more read at the same time, then closed."""

DAMAGE_SIGNS = (
    "malformed", "not a database", "disk image", "Could not decode", "vtable constructor failed", "fts5",
    "no such table", "no such column", "unsupported file format",
)  # fmt: skip
"""What SQLite and its driver say of a database whose bytes are not what was written."""

_REPLACE_STORE = "restore a backup, or ingest the folders again into a new store with `--store DIR`"

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

IDS_IN = "IN (SELECT value FROM json_each(:{}))"
"""A condition on ids that `bind_ids` binds: `IDS_IN.format(name)`. There is no limit on their number."""

Parameters = Mapping[str, Any] | Sequence[Any]


# --------------------------------------------------------------------------- opening


def address(path: Path, *, mode: str) -> str:
    """The URI of the database at `path`; `mode` is `rw` for one that must exist, `rwc` to make it."""
    return f"file:{quote(path.resolve().as_posix())}?mode={mode}"


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """A connection set up as all are, without a transaction; any thread may use it, one at a time.

    One that is not `writable` needs an existing database and is `query_only`.
    """
    connection = sqlite3.connect(
        address(path, mode="rwc" if writable else "rw"),
        uri=True,
        timeout=BUSY_TIMEOUT_MS / 1000,
        check_same_thread=False,
    )
    try:
        set_up(connection, writable=writable)
    except BaseException:
        connection.close()
        raise
    return connection


def set_up(connection: sqlite3.Connection, *, writable: bool) -> None:
    """What every connection needs before its first transaction; transactions are begun by SQL alone."""
    connection.isolation_level = None
    with closing(connection.cursor()) as cursor, driver_errors_decoded():
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


@contextmanager
def driver_errors_decoded() -> Iterator[None]:
    """What SQLite says of a damaged schema may be no text that the driver can read."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise sqlite3.DatabaseError("database disk image is malformed") from error


class ReadingConnections:
    """Connections that read one database, kept for those who read next. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._kept = KEPT_CONNECTIONS
        self._lock = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one committed state until the block ends."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = connect(self._path, writable=False)
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):  # one that cannot even end its transaction is not used again
            connection.rollback()
            with self._lock:
                if len(self._idle) < self._kept:
                    self._idle.append(connection)
                    return
        connection.close()

    def close(self) -> None:
        """Close all that are idle, and each of the others once its transaction ends."""
        with self._lock:
            self._kept, idle, self._idle = 0, self._idle, []
        for connection in idle:
            connection.close()


def empty_log(connection: sqlite3.Connection) -> bool:
    """Move the write-ahead log into the database and truncate it, as far as readers allow at this moment.

    The connection is in no transaction. Returns whether the log is empty now.
    """
    emptied = True
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=0")  # an open reader may stay for as long as it likes
    _, frames, _ = cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if frames:  # truncating an empty log would look like a commit to other connections
        emptied = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    return emptied


# --------------------------------------------------------------------------- reading


class Row(sqlite3.Row):
    """A row that unpacks, and has its columns by name, too; a name that the schema has lost is damage."""

    def __getitem__(self, key: Any) -> Any:
        try:
            return super().__getitem__(key)
        except IndexError:
            raise sqlite3.DatabaseError(f"no such column: {key}") from None


def fetch(connection: sqlite3.Connection, statement: str, parameters: Parameters = ()) -> list[Row]:
    """Every row that a statement gives."""
    cursor = connection.cursor()
    cursor.row_factory = Row
    with driver_errors_decoded():
        return cursor.execute(statement, parameters).fetchall()


def fetch_one(connection: sqlite3.Connection, statement: str, parameters: Parameters = ()) -> Row | None:
    """The first row that a statement gives, None if there is none."""
    rows = fetch(connection, statement, parameters)
    return rows[0] if rows else None


def column(connection: sqlite3.Connection, statement: str, parameters: Parameters = ()) -> list[Any]:
    """The first column of every row."""
    with driver_errors_decoded():
        return [row[0] for row in connection.execute(statement, parameters)]


def scalar(connection: sqlite3.Connection, statement: str, parameters: Parameters = ()) -> Any:
    """The first column of the first row, None if there is none."""
    values = column(connection, statement, parameters)
    return values[0] if values else None


def bind_ids(ids: Iterable[int]) -> str:
    """The value to bind for `IDS_IN`."""
    return json.dumps([int(value) for value in ids])


# ---------------------------------------------------------------------------- errors


@contextmanager
def damage_reported(path: Path, hint: str = _REPLACE_STORE) -> Iterator[None]:
    """Turn SQLite's own words for damage, a full disk and failing I/O into an error that says what to do.

    `hint` is what to do about damage.
    """
    try:
        yield
    except Exception as error:
        reason = _database_reason(error)
        if reason is None:
            raise
        if any(sign in reason for sign in DAMAGE_SIGNS) or _is_refused(error):
            raise StoreDamagedError(f"the database `{path}` is damaged: {reason}", hint=hint) from error
        if any(sign in reason for sign in ("is full", "I/O error", "unable to open", "readonly")):
            raise StoreError(
                f"the database `{path}` cannot be read or written: {reason}",
                hint="check free space, permissions and the disk, and run the command again; "
                "what was committed before is safe",
            ) from error
        raise


def _is_refused(error: Exception) -> bool:
    """Whether SQLite could not make sense of a statement. All of ours are right: then the schema is not."""
    return getattr(getattr(error, "orig", error), "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _database_reason(error: Exception) -> str | None:
    """What SQLite said, if `error` is its own or SQLAlchemy's around it (`orig`)."""
    own = getattr(error, "orig", error)
    return str(own) if isinstance(own, sqlite3.DatabaseError) else None


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
