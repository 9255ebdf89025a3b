"""How Alembic runs the migrations of a store: on the caller's connection, all of them in one transaction.

Foreign keys are off (a batch rebuild of a parent table would delete its children). Before the commit a migration
must prove that it lost nothing: no row, no parent of a row, no trigger and no AUTOINCREMENT (a batch rebuild
drops them in silence), and that the full-text index still fits its rows. `alembic revision --autogenerate` works
on an empty database in memory.
"""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection

from ragstack.errors import StoreError
from ragstack.store.failpoints import reached
from ragstack.store.fulltext import TABLE
from ragstack.store.inventory import Inventory
from ragstack.store.models import Base


def _is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
    """FTS5's shadow tables are not in the models."""
    return not (kind == "table" and name is not None and name.startswith(TABLE))


def _applied(step: Any, **_: Any) -> None:
    reached(f"revision {step.up_revision_id} applied")


def _run(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        before = Inventory.of(connection)
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            transactional_ddl=False,  # the transaction is ours
            include_object=_is_ours,
            on_version_apply=_applied,
        )
        context.run_migrations()
        before.keep_ids_given_out(connection)
        losses = before.losses(connection)
        if losses:
            raise StoreError(
                f"the migration would have lost {', '.join(losses)}; the store is as it was",
                hint="run `ragstack verify --deep`, and report this",
            )
        reached("migrations run")
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        if (
            connection.connection.dbapi_connection.in_transaction
        ):  # SQLite ends it itself when the disk is full
            connection.exec_driver_sql("ROLLBACK")
        raise
    reached("migrations committed")


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with create_engine("sqlite://").connect() as scratch:
        scratch.connection.dbapi_connection.isolation_level = None
        _run(scratch)
