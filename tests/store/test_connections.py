"""Connections that read: what they see, how many are kept, and what their errors become."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from ragstack.errors import StoreDamagedError, StoreError
from ragstack.store.connections import (
    KEPT_CONNECTIONS,
    ReadingConnections,
    column,
    connect,
    damage_reported,
    scalar,
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "numbers?#%.db"
    with closing(connect(path, writable=True)) as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    return path


@pytest.fixture
def reading(database: Path) -> Iterator[ReadingConnections]:
    connections = ReadingConnections(database)
    yield connections
    connections.close()


def _add(database: Path, number: int) -> None:
    with closing(connect(database, writable=True)) as connection:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))


def test_a_transaction_sees_one_state_whatever_is_committed_meanwhile(
    database: Path, reading: ReadingConnections
) -> None:
    count = "SELECT count(*) FROM numbers"
    with reading.transaction() as connection:
        assert scalar(connection, count) == 0
        _add(database, 1)
        assert scalar(connection, count) == 0
    with reading.transaction() as connection:
        assert scalar(connection, count) == 1


def test_a_connection_is_used_again_also_after_an_error(reading: ReadingConnections) -> None:
    with pytest.raises(ZeroDivisionError), reading.transaction() as first:
        raise ZeroDivisionError
    with reading.transaction() as second:
        assert second is first
        assert column(second, "SELECT number FROM numbers") == []


def test_more_readers_than_are_kept_all_read_and_the_rest_is_closed(reading: ReadingConnections) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(reading.transaction()) for _ in range(KEPT_CONNECTIONS + 3)]
        assert len({id(connection) for connection in held}) == len(held)
        assert [scalar(connection, "SELECT count(*) FROM numbers") for connection in held] == [0] * len(held)
    closed = 0
    for connection in held:
        try:
            connection.execute("SELECT 1")
        except sqlite3.ProgrammingError:
            closed += 1
    assert closed == 3


def test_closing_ends_what_is_idle_now_and_the_others_when_they_are_done(reading: ReadingConnections) -> None:
    with reading.transaction() as busy:
        with reading.transaction() as idle:
            pass
        reading.close()
        with pytest.raises(sqlite3.ProgrammingError):
            idle.execute("SELECT 1")
        assert scalar(busy, "SELECT count(*) FROM numbers") == 0
    with pytest.raises(sqlite3.ProgrammingError):
        busy.execute("SELECT 1")


def test_a_connection_that_reads_neither_writes_nor_makes_a_database(database: Path, tmp_path: Path) -> None:
    with closing(connect(database, writable=False)) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("INSERT INTO numbers VALUES (1)")
    with pytest.raises(sqlite3.OperationalError):
        connect(tmp_path / "missing.db", writable=False)
    assert not (tmp_path / "missing.db").exists()


def test_damage_is_told_alike_by_the_driver_and_by_sqlalchemy(database: Path) -> None:
    engine = create_engine(f"sqlite:///{database}")
    with (
        closing(connect(database, writable=False)) as own,
        pytest.raises(StoreDamagedError, match="no such table"),
        damage_reported(database),
    ):
        own.execute("SELECT * FROM gone")
    with (
        engine.connect() as other,
        pytest.raises(StoreDamagedError, match="no such table"),
        damage_reported(database),
    ):
        other.execute(text("SELECT * FROM gone"))
    engine.dispose()


def test_an_unwritable_database_is_no_damage_and_other_errors_pass(database: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read or written") as raised, damage_reported(database):
        raise sqlite3.OperationalError("database or disk is full")
    assert not isinstance(raised.value, StoreDamagedError)
    with pytest.raises(ZeroDivisionError), damage_reported(database):
        raise ZeroDivisionError
