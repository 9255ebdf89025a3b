"""Writes down what was asked and answered, and reads it again: `history.db` in the store's directory.

It has its own lock, so that a question never waits for an ingest, and its own migrations. Reading creates
nothing. What a history is good for (conversations, calibration) is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import aliased

from ragstack.config import HISTORY_FILE
from ragstack.errors import NotInStoreError, StoreError, StoreLockedError, StoreVersionError
from ragstack.records import Answer
from ragstack.store.clock import now
from ragstack.store.database import checkpoint, damage_reported, open_engine
from ragstack.store.files import FILE_MODE
from ragstack.store.history.models import Conversation, PassageRow, TurnRow
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

WAIT_SECONDS = 2.0
"""How long writing a turn waits for another process; an answer should not be held up by its record."""


class History:
    """The history in `directory`. Safe to use from several processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = directory / HISTORY_FILE

    # ----------------------------------------------------------------------- writing

    def record(self, answer: Answer, *, conversation_id: int | None = None) -> int:
        """Write a turn down, in a new conversation unless one is given; returns the conversation's id.

        Raises StoreError when it cannot be written, StoreLockedError when another process is writing.
        """
        with self._writing() as connection:
            known = conversation_id is not None and _exists(connection, conversation_id)
            if conversation_id is None or not known:
                started = insert(Conversation).values(started_at=now())
                conversation_id = _new_id(connection.execute(started).inserted_primary_key)
            row = insert(TurnRow).values(
                conversation_id=conversation_id, asked_at=now(), **turn_columns(answer)
            )
            turn_id = _new_id(connection.execute(row).inserted_primary_key)
            rows = passage_rows(turn_id, answer)
            if rows:
                connection.execute(insert(PassageRow), rows)
        return conversation_id

    def clear(self, conversation_id: int | None = None) -> int:
        """Delete one conversation, or all of them, from the file as well; returns how many turns are gone."""
        if not self.database.is_file():
            return 0
        with self._writing() as connection:
            if conversation_id is None:
                gone = connection.execute(select(func.count()).select_from(TurnRow)).scalar_one()
                connection.execute(delete(Conversation))
            else:
                _require(connection, conversation_id)
                gone = _count_turns(connection, conversation_id)
                connection.execute(delete(Conversation).where(Conversation.id == conversation_id))
        self._erase()
        return gone

    def purge(self, is_current: Callable[[int, str], bool]) -> int:
        """Delete every turn that shows text of a document that is gone or has changed, and what follows it.

        `is_current` is asked of a document's id and content hash. Later turns of a conversation may repeat
        what was said before, so they go too. Returns how many turns are gone; no byte of them stays.
        """
        if not self.database.is_file():
            return 0
        with self._writing() as connection:
            shown = select(PassageRow.turn_id, PassageRow.document_id, PassageRow.content_hash).distinct()
            affected = {
                row.turn_id
                for row in connection.execute(shown)
                if not is_current(row.document_id, row.content_hash)
            }
            gone = sum(_delete_from(connection, turn_id) for turn_id in sorted(affected))
            empty = select(TurnRow.conversation_id).distinct()
            connection.execute(delete(Conversation).where(Conversation.id.not_in(empty)))
        self._erase()
        return gone

    # ----------------------------------------------------------------------- reading

    def conversations(self, limit: int | None = None) -> list[ConversationInfo]:
        """The conversations, the latest first."""
        own = aliased(TurnRow)
        first = (
            select(own.question)
            .where(own.conversation_id == Conversation.id)
            .order_by(own.id)
            .limit(1)
            .scalar_subquery()
        )
        last = func.max(TurnRow.id)
        query = (
            select(
                Conversation.id,
                Conversation.started_at,
                func.max(TurnRow.asked_at).label("last_at"),
                func.count(TurnRow.id).label("turns"),
                first.label("question"),
            )
            .join(TurnRow, TurnRow.conversation_id == Conversation.id)
            .group_by(Conversation.id)
            .order_by(last.desc())
            .limit(limit)
        )
        with self._reading() as connection:
            rows = connection.execute(query).all() if connection is not None else []
        return [
            ConversationInfo(row.id, row.started_at, row.last_at, row.turns, row.question) for row in rows
        ]

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
            of_it = TurnRow.conversation_id == conversation_id
            return list(read_turns(connection, select(TurnRow).where(of_it).order_by(TurnRow.id)))

    def shown_text(self, document_id: int, digits: str, start: int, end: int) -> str | None:
        """`[start, end)` of a document's version, if a prompt had it; `digits` begin its content hash."""
        of_version = PassageRow.content_hash.startswith(digits, autoescape=True)
        query = (
            select(PassageRow.start, PassageRow.text)
            .where(PassageRow.document_id == document_id, of_version)
            .where(PassageRow.start <= start, PassageRow.end >= end)
            .limit(1)
        )
        with self._reading() as connection:
            row = connection.execute(query).first() if connection is not None else None
        return None if row is None else row.text[start - row.start : end - row.start]

    def timings(self, model: str, endpoint: str, limit: int = 64) -> list[TimedTurn]:
        """The latest measured generations of a model at an endpoint, the newest first."""
        query = (
            select(TurnRow.prompt_tokens, TurnRow.seconds_to_first_token, TurnRow.tokens_per_second)
            .where(TurnRow.model == model, TurnRow.endpoint == endpoint, TurnRow.error == "")
            .where(TurnRow.prompt_tokens.is_not(None), TurnRow.seconds_to_first_token.is_not(None))
            .order_by(TurnRow.id.desc())
            .limit(limit)
        )
        with self._reading() as connection:
            rows = connection.execute(query).all() if connection is not None else []
        return [TimedTurn(row[0], row[1], row[2]) for row in rows if row[0] and row[1]]

    # ---------------------------------------------------------------------- database

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        """A connection to read on; None where nothing was ever written."""
        if not self.database.is_file():
            yield None
            return
        with damage_reported(self.database):
            found = revision(self.database)
            if found != HEAD:
                self._require_known(found)
                with self._lock():
                    upgrade(self.database, script_directory() / "history")
            with self._engine(writable=False) as engine, engine.begin() as connection:
                yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction under the history's own lock; the database is made if there is none."""
        with self._lock(), damage_reported(self.database):
            exists = self.database.is_file()
            found = revision(self.database) if exists else None
            if found != HEAD:
                self._require_known(found)
                upgrade(self.database, script_directory() / "history")
            if not exists:
                self.database.chmod(FILE_MODE)
            with self._engine(writable=True) as engine:
                with engine.begin() as connection:
                    yield connection
                checkpoint(engine)

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

    @contextmanager
    def _engine(self, *, writable: bool) -> Iterator[Engine]:
        engine = open_engine(self.database, writable=writable)
        try:
            yield engine
        finally:
            engine.dispose()

    def _erase(self) -> None:
        """Rewrite the file, so that no byte of deleted rows stays in it or in its log."""
        with self._lock(), damage_reported(self.database), self._engine(writable=True) as engine:
            raw = engine.raw_connection()
            try:
                raw.cursor().execute("VACUUM")
            finally:
                raw.close()
            if not checkpoint(engine):
                raise StoreError(
                    "the history is not erased: a reader keeps its log in use, which still holds old text",
                    hint="end the processes that read the history and run the command again",
                )


def _no_conversation(conversation_id: int) -> NotInStoreError:
    return NotInStoreError(
        f"there is no conversation {conversation_id}",
        hint="run `ragstack history list` to see which there are",
    )


def _exists(connection: Connection, conversation_id: int) -> bool:
    found = select(Conversation.id).where(Conversation.id == conversation_id)
    return connection.execute(found).first() is not None


def _require(connection: Connection, conversation_id: int) -> None:
    if not _exists(connection, conversation_id):
        raise _no_conversation(conversation_id)


def _count_turns(connection: Connection, conversation_id: int) -> int:
    query = select(func.count()).select_from(TurnRow).where(TurnRow.conversation_id == conversation_id)
    return int(connection.execute(query).scalar_one())


def _delete_from(connection: Connection, turn_id: int) -> int:
    """Delete a turn and those after it in its conversation, if it is still there."""
    conversation = select(TurnRow.conversation_id).where(TurnRow.id == turn_id).scalar_subquery()
    following = delete(TurnRow).where(TurnRow.conversation_id == conversation, TurnRow.id >= turn_id)
    return connection.execute(following).rowcount


def _new_id(key: Sequence[Any] | None) -> int:
    assert key is not None
    return int(key[0])
