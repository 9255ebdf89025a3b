"""Whether the full-text index is the one that its rows make: exactly, and with bounded memory.

FTS5's own check joins a hash of every entry by XOR, so that some changes cancel out. Here the rows are
indexed a second time, into a temporary table without content, and both indexes are read side by side; then
every term is looked up, as a search does. FTS5's check is made as well. The caller's connection is not used:
the check sees one state of its own, and changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from ragstack.store.fulltext import TABLE

WAIT_SECONDS = 10.0
"""How long FTS5's own check, which needs the right to write, waits for another process's transaction."""

_HINDRANCES = ("is locked", "readonly", "is full", "unable to open", "I/O error")
"""What SQLite says when it could not look, not of what it saw."""

_AGAIN = "indexed_again"

_COMPARED = {
    "an entry": (
        "SELECT term, doc, col, offset FROM temp.held_entries",
        "SELECT term, doc, col, offset FROM temp.made_entries",
    ),
    "what is found of a term": (
        # Left join: the right side is asked term by term, through the tree that leads to its page.
        "SELECT h.doc, h.cnt FROM temp.made_terms m LEFT JOIN temp.held_terms h ON h.term = m.term",
        "SELECT doc, cnt FROM temp.made_terms",
    ),
    "the length of a row": (
        f"SELECT id, sz FROM main.{TABLE}_docsize ORDER BY id",
        f"SELECT id, sz FROM temp.{_AGAIN}_docsize ORDER BY id",
    ),
}


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """What is wrong with the full-text index, and why a part of the check could not be made, if so."""

    problems: tuple[str, ...]
    unchecked: str = ""


def check_index(database: Path) -> IndexCheck:
    """Compare the full-text index of `database` with its rows, and let FTS5 look at its trees."""
    uri = f"{database.resolve().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=WAIT_SECONDS)) as connection:
        connection.text_factory = bytes  # damage may have left what is no text
        try:
            found, unchecked = tuple(_differences(connection)), ""
        except sqlite3.DatabaseError as error:
            found, unchecked = _sorted_out(error)
        trees, unasked = _own_check(connection)
    return IndexCheck(found + trees, unchecked or unasked)


def _sorted_out(error: sqlite3.DatabaseError) -> tuple[tuple[str, ...], str]:
    """What an error says of the index, or what else kept the check from being made."""
    hindered = any(sign in str(error) for sign in _HINDRANCES)
    return ((), str(error)) if hindered else ((str(error),), "")


def _differences(connection: sqlite3.Connection) -> Iterator[str]:
    """What of the index is not as indexing the rows again makes it; the first of each kind."""
    connection.execute("PRAGMA temp_store=FILE")
    connection.execute("BEGIN")
    try:
        _index_again(connection)
        for what, (held, made) in _COMPARED.items():
            pairs = zip_longest(connection.execute(held), connection.execute(made))
            if any(one != other for one, other in pairs):
                yield f"{what} in it is not what its rows make"
        if _totals(connection, f"main.{TABLE}") != _totals(connection, f"temp.{_AGAIN}"):
            yield "the totals in it, which scores are made of, are not those of its rows"
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _totals(connection: sqlite3.Connection, table: str) -> bytes:
    """The record of totals, of which zeros at the end may lack.

    https://www.sqlite.org/fts5.html#the_averages_record
    """
    row = connection.execute(f"SELECT block FROM {table}_data WHERE id = 1").fetchone()
    return bytes(row[0] or b"").rstrip(b"\0") if row else b""


def _index_again(connection: sqlite3.Connection) -> None:
    named = connection.execute("SELECT sql FROM main.sqlite_master WHERE name = ?", (TABLE,)).fetchone()
    if named is None:
        raise sqlite3.DatabaseError(f"no such table: {TABLE}")
    _, options = named[0].decode().split("(", 1)
    connection.execute(f"CREATE VIRTUAL TABLE temp.{_AGAIN} USING fts5(content='', {options}")
    columns = "rowid, body, headings, pairs"
    connection.execute(
        f"INSERT INTO temp.{_AGAIN}({columns}) SELECT {columns} FROM main.{TABLE} ORDER BY rowid"
    )
    for name, table in (("held", f"main, {TABLE}"), ("made", f"temp, {_AGAIN}")):
        connection.execute(f"CREATE VIRTUAL TABLE temp.{name}_entries USING fts5vocab({table}, instance)")
        connection.execute(f"CREATE VIRTUAL TABLE temp.{name}_terms USING fts5vocab({table}, row)")


def _own_check(connection: sqlite3.Connection) -> tuple[tuple[str, ...], str]:
    """What FTS5 says of its trees (rank = 1: and of its rows), or why it could not be asked."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"INSERT INTO {TABLE}({TABLE}, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        return _sorted_out(error)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return (), ""
