"""How Alembic runs the migrations of a store: on the caller's connection, all of them in one transaction.

Foreign keys are off (a batch rebuild of a parent table would delete its children) and checked before the
commit. `alembic revision --autogenerate` works on an empty database in memory.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection

from ragstack.store.failpoints import reached
from ragstack.store.fulltext import TABLE
from ragstack.store.models import Base


def _is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
    """FTS5's shadow tables are not in the models."""
    return not (kind == "table" and name is not None and name.startswith(TABLE))


def _run(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            transactional_ddl=False,  # the transaction is ours
            include_object=_is_ours,
        )
        context.run_migrations()
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise RuntimeError(f"migration left {len(broken)} rows without their parent")
        reached("migrations run")
        connection.exec_driver_sql("COMMIT")
        reached("migrations committed")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with create_engine("sqlite://").connect() as scratch:
        scratch.connection.dbapi_connection.isolation_level = None
        _run(scratch)
