"""Bringing a store's schema to the present revision with Alembic, and refusing a newer one.

Alembic and SQLAlchemy are imported only when there is something to do: opening a store that is up to date
costs one query.
The migrations lie in the top-level `alembic/` of a checkout and in `ragstack/_alembic` of an installed wheel.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ragstack.errors import StoreDamagedError, StoreVersionError
from ragstack.store.connections import driver_errors_decoded

HEAD = "0001"
"""The newest revision; a test holds it equal to the head of the migration scripts."""


def script_directory() -> Path:
    """Where the migration scripts lie: in the installed package, else in the checkout around it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_alembic"
    return installed if installed.is_dir() else package.parent / "alembic"


def revision(database: Path) -> str | None:
    """The schema's revision, None for a database without one. Sets nothing, not even the journal mode."""
    with (
        closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=rw", uri=True)) as connection,
        driver_errors_decoded(),
    ):
        connection.execute("PRAGMA query_only=ON")
        named = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if named else None
    return str(row[0]) if row else None


def needs_upgrade(database: Path) -> bool:
    """Whether the schema is older than this ragstack; StoreVersionError if it is newer, without a write.

    StoreDamagedError if there is no schema at all.
    """
    found = revision(database)
    if found is None:  # a store gets its name only after its tables
        raise StoreDamagedError(
            "the database is empty or not one of ragstack",
            hint="restore a backup, or ingest the folders again into a new store with `--store DIR`",
        )
    if found == HEAD:
        return False
    if found not in _known_revisions():
        raise StoreVersionError(
            f"the store has schema revision {found}, which this version of ragstack does not know",
            hint="upgrade ragstack: `pip install --upgrade ragstack`",
        )
    return True


def _known_revisions() -> set[str]:
    return {path.name.split("_")[0] for path in (script_directory() / "versions").glob("*.py")}


def upgrade(database: Path, scripts: Path | None = None) -> None:
    """Run every migration that is missing, all in one transaction. The caller holds the writer lock.

    `scripts` are those of another database than the store's, such as its history.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    config = Config()
    location = scripts or script_directory()
    config.set_main_option("script_location", location.as_posix().replace("%", "%%"))
    engine = create_engine(f"sqlite:///{database}", poolclass=NullPool)
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.isolation_level = None  # we begin transactions ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF", "busy_timeout=10000"):
            connection.exec_driver_sql(f"PRAGMA {pragma}")
        connection.rollback()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
