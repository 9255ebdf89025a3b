"""What no migration may lose, counted before it and after it in its transaction.

Table rebuilds are the trap: done in a batch, they drop the triggers of a table and its AUTOINCREMENT in
silence, and let its ids start again after the highest row that is left. Not responsible for running anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from ragstack.store.database import driver
from ragstack.store.fulltext import TABLE, integrity_problem

_INTERNAL = (f"{TABLE}_", "sqlite_", "alembic_")


@dataclass(frozen=True, slots=True)
class Inventory:
    """Rows by table, triggers, and the highest id given out by each table that never gives one out again."""

    rows: dict[str, int]
    triggers: frozenset[str]
    last_ids: dict[str, int]

    @classmethod
    def of(cls, connection: Connection) -> Inventory:
        """What there is now."""
        named = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master").fetchall()
        tables = {
            name: sql for kind, name, sql in named if kind == "table" and not name.startswith(_INTERNAL)
        }
        numbered = [name for name, sql in tables.items() if "AUTOINCREMENT" in sql]
        given = dict(_pairs(connection, "SELECT name, seq FROM sqlite_sequence")) if numbered else {}
        return cls(
            rows={name: _count(connection, name) for name in tables},
            triggers=frozenset(name for kind, name, _ in named if kind == "trigger"),
            last_ids={name: given.get(name, 0) for name in numbered},
        )

    def keep_ids_given_out(self, connection: Connection) -> None:
        """Let no table give an id out again that it gave out before."""
        statement = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?"
        for name, last in self.last_ids.items():
            connection.exec_driver_sql(statement, (last, name))

    def losses(self, connection: Connection) -> list[str]:
        """What of this is not there any more, in words; a table that is gone was meant to go."""
        left = Inventory.of(connection)
        found = [
            f"{count - left.rows[name]:,} of {count:,} rows of `{name}`"
            for name, count in self.rows.items()
            if left.rows.get(name, count) < count
        ]
        found += [f"the trigger `{name}`" for name in sorted(self.triggers - left.triggers)]
        found += [
            f"the AUTOINCREMENT of `{name}`"
            for name in self.last_ids
            if name in left.rows and name not in left.last_ids
        ]
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        found += [f"the parents of {len(orphans):,} rows"] if orphans else []
        problem = integrity_problem(driver(connection)) if TABLE in left.rows else None
        return [*found, f"the full-text index ({problem})"] if problem else found


def _count(connection: Connection, table: str) -> int:
    statement = f'SELECT count(*) FROM "{table}"'  # noqa: S608 - a name out of the schema itself
    return int(connection.exec_driver_sql(statement).scalar_one())


def _pairs(connection: Connection, statement: str) -> list[tuple[Any, Any]]:
    return [(row[0], row[1]) for row in connection.exec_driver_sql(statement)]
