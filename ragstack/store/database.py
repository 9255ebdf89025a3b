"""How a database is opened by what changes it: SQLAlchemy's engines, transactions that write, the log.

Not responsible for what is in the tables, nor for how a connection is set up, see `connections`. Transactions
are begun by SQL alone: the driver's own control of them loses updates.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.pool import QueuePool

from ragstack.store.connections import BUSY_TIMEOUT_MS, address, empty_log, set_up

if TYPE_CHECKING:
    AnyRow = Row[*tuple[Any, ...]]

    from sqlalchemy.sql.elements import TextClause


def open_engine(path: Path) -> Engine:
    """Engine for changing the database at `path`; every transaction begins with BEGIN IMMEDIATE."""
    engine = create_engine(
        f"sqlite:///{address(path, mode='rwc')}&uri=true",
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine, "connect", lambda connection, _record: set_up(connection, writable=True))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def driver(connection: Connection) -> sqlite3.Connection:
    """The connection beneath one of SQLAlchemy's, in the same transaction, for what reads in plain SQL."""
    if not connection.in_transaction():
        connection.begin()
    lent = connection.connection.driver_connection
    assert isinstance(lent, sqlite3.Connection)
    return lent


def ids_in(name: str) -> TextClause:
    """Subquery over a list of integers bound as JSON (see `bind_ids`): no limit on their number."""
    return text(f"SELECT value FROM json_each(:{name})")


def last_id(connection: Connection, table: str) -> int:
    """The highest id that `table` ever gave out; the next ones may be assigned from here in a transaction."""
    row = connection.execute(
        text("SELECT seq FROM sqlite_sequence WHERE name = :table"), {"table": table}
    ).scalar()
    return int(row or 0)


def checkpoint(engine: Engine) -> bool:
    """`connections.empty_log` on a connection of the engine, which is in no transaction."""
    raw = engine.raw_connection()
    try:
        lent = raw.driver_connection
        assert isinstance(lent, sqlite3.Connection)
        return empty_log(lent)
    finally:
        raw.close()
