from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from ragstack.store import migrations
from ragstack.store.fulltext import TABLE
from ragstack.store.models import Base
from ragstack.store.store import Store


def test_the_known_head_is_the_head_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", migrations.script_directory().as_posix())
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def test_the_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    with Store.create(tmp_path / "store") as store, store.write() as writer, writer.engine.connect() as made:
        context = MigrationContext.configure(
            made,
            opts={
                "include_object": lambda _object, name, kind, *_: (
                    kind != "table" or not name.startswith(TABLE)
                )
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_every_id_that_a_vector_may_carry_is_never_reused(tmp_path: Path) -> None:
    with Store.create(tmp_path / "store") as store, store.read() as snapshot:
        made = dict(
            snapshot.connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        )
    for table in ("chunks", "documents", "sources", "generations", "segments"):
        assert "AUTOINCREMENT" in made[table], table
