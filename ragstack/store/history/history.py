"""Writes down what was asked and answered, and reads it again: `history.db` in the store's directory.

It has its own lock, so that a question never waits for an ingest, and its own migrations. Reading creates
nothing. What a history is good for (conversations, calibration) is not known here. All of it is plain SQL:
every answer is written down, and importing SQLAlchemy for that would take longer than the answer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ragstack.config import HISTORY_FILE
from ragstack.errors import (
    NotInStoreError,
    StoreDamagedError,
    StoreError,
    StoreLockedError,
    StoreVersionError,
)
from ragstack.records import Answer
from ragstack.store.clock import now
from ragstack.store.connections import column, connect, damage_reported, empty_log, fetch_one, scalar
from ragstack.store.files import FILE_MODE
from ragstack.store.history.rows import (
    ConversationInfo,
    HistoryTurn,
    TimedTurn,
    passage_rows,
    read_turns,
    turn_columns,
)
from ragstack.store.migrations import revision, script_directory, upgrade

LOCK_FILE = "history.lock"
HEAD = "0001"
"""The newest revision; a test holds it equal to the head of the migration scripts."""

_CONVERSATIONS = """
    SELECT c.id, c.started_at, max(t.asked_at), count(t.id),
        (SELECT question FROM turns WHERE conversation_id = c.id ORDER BY id LIMIT 1)
    FROM conversations c JOIN turns t ON t.conversation_id = c.id
    GROUP BY c.id ORDER BY max(t.id) DESC LIMIT ?
"""

_SHOWN = """
    SELECT start, text FROM turn_passages
    WHERE document_id = :document AND substr(content_hash, 1, :length) = :digits
    AND start <= :start AND "end" >= :end LIMIT 1
"""

_TIMINGS = """
    SELECT prompt_tokens, seconds_to_first_token, tokens_per_second FROM turns
    WHERE model = ? AND endpoint = ? AND error = ''
    AND prompt_tokens IS NOT NULL AND seconds_to_first_token IS NOT NULL ORDER BY id DESC LIMIT ?
"""

_DELETE_FROM = """
    DELETE FROM turns WHERE id >= :turn
    AND conversation_id = (SELECT conversation_id FROM turns WHERE id = :turn)
"""

_BEGIN_ANEW = (
    "keep a copy of the file if it is to be mended, then run `ragstack history clear` to begin a new one; "
    "the documents are not touched"
)

WAIT_SECONDS = 2.0
"""How long writing a turn waits for another process; an answer should not be held up by its record."""


class History:
    """The history in `directory`. Safe to use from several processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = directory / HISTORY_FILE

    # ----------------------------------------------------------------------- writing

    def make(self) -> None:
        """Make an empty one if there is none. Done with the store, so that the first answer is quick."""
        with self._writing():
            pass

    def record(self, answer: Answer, *, conversation_id: int | None = None) -> int:
        """Write a turn down, in a new conversation unless one is given; returns the conversation's id.

        Raises StoreError when it cannot be written, StoreLockedError when another process is writing.
        """
        with self._writing() as connection:
            known = conversation_id is not None and _exists(connection, conversation_id)
            if conversation_id is None or not known:
                conversation_id = _insert(connection, "conversations", {"started_at": now()})
            turn = {"conversation_id": conversation_id, "asked_at": now(), **turn_columns(answer)}
            turn_id = _insert(connection, "turns", turn)
            for row in passage_rows(turn_id, answer):
                _insert(connection, "turn_passages", row)
        return conversation_id

    def clear(self, conversation_id: int | None = None) -> int | None:
        """Delete one conversation, or all of them, from the file as well; returns how many turns are gone.

        Of a damaged file the turns cannot be counted: it is removed whole, and None returned.
        """
        if not self.database.is_file():
            return 0
        try:
            gone = self._clear(conversation_id)
        except StoreDamagedError:
            if conversation_id is not None:
                raise
            self._remove()
            return None
        self._erase()
        return gone

    def _clear(self, conversation_id: int | None) -> int:
        with self._writing() as connection:
            if conversation_id is None:
                gone = scalar(connection, "SELECT count(*) FROM turns")
                connection.execute("DELETE FROM conversations")
            else:
                _require(connection, conversation_id)
                of_it = (conversation_id,)
                gone = scalar(connection, "SELECT count(*) FROM turns WHERE conversation_id = ?", of_it)
                connection.execute("DELETE FROM conversations WHERE id = ?", of_it)
        return int(gone)

    def _remove(self) -> None:
        with self._lock():
            for end in ("", "-wal", "-shm"):
                self.database.with_name(self.database.name + end).unlink(missing_ok=True)

    def purge(self, is_current: Callable[[int, str], bool]) -> int:
        """Delete every turn that shows text of a document that is gone or has changed, and what follows it.

        `is_current` is asked of a document's id and content hash. Later turns of a conversation may repeat
        what was said before, so they go too. Returns how many turns are gone; no byte of them stays.
        """
        if not self.database.is_file():
            return 0
        with self._writing() as connection:
            shown = "SELECT DISTINCT turn_id, document_id, content_hash FROM turn_passages"
            affected = {
                turn_id
                for turn_id, document_id, content_hash in connection.execute(shown)
                if not is_current(document_id, content_hash)
            }
            gone = sum(_delete_from(connection, turn_id) for turn_id in sorted(affected))
            connection.execute(
                "DELETE FROM conversations WHERE id NOT IN (SELECT conversation_id FROM turns)"
            )
        self._erase()
        return gone

    # ----------------------------------------------------------------------- reading

    def conversations(self, limit: int | None = None) -> list[ConversationInfo]:
        """The conversations, the latest first."""
        with self._reading() as connection:
            rows = connection.execute(_CONVERSATIONS, (-1 if limit is None else limit,)) if connection else ()
            return [ConversationInfo(*row) for row in rows]

    def latest(self) -> int | None:
        """The conversation of the last question; None when nothing was asked yet."""
        found = self.conversations(limit=1)
        return found[0].conversation_id if found else None

    def turns(self, conversation_id: int) -> list[HistoryTurn]:
        """The turns of a conversation in order. Raises NotInStoreError when there is none of that id."""
        with self._reading() as connection:
            if connection is None:
                raise _no_conversation(conversation_id)
            _require(connection, conversation_id)
            return read_turns(connection, conversation_id)

    def shown_text(self, document_id: int, digits: str, start: int, end: int) -> str | None:
        """`[start, end)` of a document's version, if a prompt had it; `digits` begin its content hash."""
        bound = {
            "document": document_id, "length": len(digits), "digits": digits, "start": start, "end": end
        }  # fmt: skip
        with self._reading() as connection:
            row = fetch_one(connection, _SHOWN, bound) if connection else None
        return None if row is None else row["text"][start - row["start"] : end - row["start"]]

    def timings(self, model: str, endpoint: str, limit: int = 64) -> list[TimedTurn]:
        """The latest measured generations of a model at an endpoint, the newest first."""
        with self._reading() as connection:
            rows = connection.execute(_TIMINGS, (model, endpoint, limit)).fetchall() if connection else []
        return [TimedTurn(*row) for row in rows if row[0] and row[1]]

    # ---------------------------------------------------------------------- database

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to read on; None where nothing was ever written."""
        if not self.database.is_file():
            yield None
            return
        with damage_reported(self.database, _BEGIN_ANEW):
            found = revision(self.database)
            if found != HEAD:
                self._require_known(found)
                with self._lock():
                    upgrade(self.database, script_directory() / "history")
            with closing(connect(self.database, writable=False)) as connection:
                connection.execute("BEGIN")
                yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction under the history's own lock; the database is made if there is none."""
        with self._lock(), damage_reported(self.database, _BEGIN_ANEW):
            exists = self.database.is_file()
            found = revision(self.database) if exists else None
            if found != HEAD:
                self._require_known(found)
                upgrade(self.database, script_directory() / "history")
            if not exists:
                self.database.chmod(FILE_MODE)
            with closing(connect(self.database, writable=True)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                with connection:  # commits, or rolls back when the block raises
                    yield connection
                empty_log(connection)

    def _require_known(self, found: str | None) -> None:
        known = {
            path.name.split("_")[0] for path in (script_directory() / "history" / "versions").glob("*.py")
        }
        if found is not None and found not in known:
            raise StoreVersionError(
                f"the history has schema revision {found}, which this version of ragstack does not know",
                hint="upgrade ragstack: `pip install --upgrade ragstack`",
            )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        lock = FileLock(self.directory / LOCK_FILE, mode=FILE_MODE, thread_local=False)
        try:
            lock.acquire(timeout=WAIT_SECONDS, poll_interval=0.02)
        except Timeout:
            raise StoreLockedError("the history is being written by another process") from None
        try:
            yield
        finally:
            lock.release()

    def _erase(self) -> None:
        """Rewrite the file, so that no byte of deleted rows stays in it or in its log."""
        with self._lock(), damage_reported(self.database, _BEGIN_ANEW):
            with closing(connect(self.database, writable=True)) as connection:
                connection.execute("VACUUM")
                emptied = empty_log(connection)
            if not emptied:
                raise StoreError(
                    "the history is not erased: a reader keeps its log in use, which still holds old text",
                    hint="end the processes that read the history and run the command again",
                )


def _no_conversation(conversation_id: int) -> NotInStoreError:
    return NotInStoreError(
        f"there is no conversation {conversation_id}",
        hint="run `ragstack history list` to see which there are",
    )


def _exists(connection: sqlite3.Connection, conversation_id: int) -> bool:
    return bool(column(connection, "SELECT id FROM conversations WHERE id = ?", (conversation_id,)))


def _require(connection: sqlite3.Connection, conversation_id: int) -> None:
    if not _exists(connection, conversation_id):
        raise _no_conversation(conversation_id)


def _delete_from(connection: sqlite3.Connection, turn_id: int) -> int:
    """Delete a turn and those after it in its conversation, if it is still there."""
    return connection.execute(_DELETE_FROM, {"turn": turn_id}).rowcount


def _insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """Insert a row into one of the tables of `models`; returns its id."""
    names, places = (", ".join(each) for each in ([f'"{name}"' for name in values], ["?"] * len(values)))
    statement = f"INSERT INTO {table} ({names}) VALUES ({places})"
    row_id = connection.execute(statement, tuple(values.values())).lastrowid
    assert row_id is not None
    return row_id
