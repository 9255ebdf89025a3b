"""A store that a released revision left is opened, upgraded, and holds what it held."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults.migrating import later_revision
from released_store import EXPECTED, embedder, released_revisions, unpack
from sqlalchemy import text

from ragstack.config import DATABASE_FILE
from ragstack.errors import StoreError, StoreVersionError
from ragstack.store import failpoints, maintenance, migrations
from ragstack.store.connections import column, scalar
from ragstack.store.database import driver
from ragstack.store.fulltext import integrity_problem
from ragstack.store.store import Store
from ragstack.system import RAGSystem

MIGRATING = ("database backed up", "index file backed up", "backup finished", "revision 9999 applied",
             "migrations run", "migrations committed")  # fmt: skip


@pytest.fixture(params=released_revisions())
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return tmp_path / "store", unpack(request.param, tmp_path / "store")


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm(None)


def _content(directory: Path) -> dict[str, bytes]:
    """The bytes of every file that is not SQLite's or the lock's own business."""
    passing = (f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm", "write.lock")
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name not in passing
    }


def _require_kept(directory: Path, expected: dict[str, Any]) -> None:
    """Texts, spans, vectors, metadata, rows, triggers and indexes are those of when the store was made."""
    with Store.open(directory) as store:
        assert store.verify(share=1.0).problems == ()
        with store.read() as snapshot:
            infos = {info.path: info for info in snapshot.documents()}
            texts = {path: snapshot.document(info.document_id).text for path, info in infos.items()}
            assert {p: hashlib.sha256(t.encode()).hexdigest() for p, t in texts.items()} == expected["texts"]
            _require_chunks(snapshot, infos, texts, expected["chunks"])
            metadata = [
                [path, key, value]
                for path, info in sorted(infos.items())
                for key, value in snapshot.metadata(info.document_id).items()
            ]
            assert metadata == expected["metadata"]
            for table, count in expected["rows"].items():
                found = scalar(snapshot.connection, f'SELECT count(*) FROM "{table}"')
                assert found == count, table
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
            assert set(expected["triggers"]) <= set(column(snapshot.connection, triggers))
        with store.write() as writer, writer.engine.begin() as connection:
            assert integrity_problem(driver(connection)) is None


def _require_chunks(snapshot: Any, infos: Any, texts: dict[str, str], expected: list[list[Any]]) -> None:
    ids = {path: snapshot.chunk_ids(info.document_id) for path, info in infos.items()}
    assert sum(map(len, ids.values())) == len(expected)
    held = snapshot.chunks([row[0] for row in expected])
    for chunk_id, path, position, start, end, vector in expected:
        one = held[chunk_id]
        assert (one.path, one.position, one.start, one.end) == (path, position, start, end)
        assert one.text == texts[path][start:end]
        stored = np.frombuffer(bytes.fromhex(vector), "<f4")
        assert snapshot.cosines(stored, [chunk_id])[chunk_id] == pytest.approx(1.0, abs=1e-6)


def test_a_store_of_every_revision_is_kept() -> None:
    scripts = {path.name.split("_")[0] for path in (migrations.script_directory() / "versions").glob("0*.py")}
    assert set(released_revisions()) == scripts, "run `python tests/support/released_store.py`"


def test_a_released_store_is_whole_after_opening(kept: tuple[Path, dict[str, Any]]) -> None:
    directory, expected = kept
    _require_kept(directory, expected)


def test_a_released_store_is_searched_and_goes_on(kept: tuple[Path, dict[str, Any]]) -> None:
    directory, _ = kept
    with RAGSystem.open(directory, create=False, embedder=embedder()) as rag:
        assert rag.retrieve("lantern above the quay", top_k=1)[0].chunk.path == "harbour.md"
        [hit] = rag.retrieve("second page anchors", top_k=1)
        with rag.store.read() as session:
            location = session.locate(hit.chunk.document_id, hit.chunk.start, hit.chunk.end)
        assert location.last_landmark == "2"
        added = rag.add_document("Wholly new words about albatrosses.", name="new")
        assert rag.retrieve("albatrosses", top_k=1)[0].chunk.document_id == added
        assert rag.verify(share=1.0).problems == ()


def test_a_reembedding_that_an_old_version_began_is_finished(kept: tuple[Path, dict[str, Any]]) -> None:
    """From where it stopped, or, if documents are cut in another way now, from the beginning."""
    directory, expected = kept
    with RAGSystem.open(directory, create=False, embedder=embedder()) as rag:
        assert 0 < rag.reembed(embedder=embedder(1)) <= len(expected["texts"])
        assert rag.generation is not None
        assert rag.generation.fingerprint.key == embedder(1).fingerprint.key
        assert rag.verify(share=1.0).problems == ()
    with Store.open(directory) as store, store.write() as writer, writer.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM generations")).scalar() == 1


# ---------------------------------------------------------------------- a later revision


def test_an_upgrade_backs_up_first_says_where_and_loses_nothing(kept: tuple[Path, dict[str, Any]]) -> None:
    directory, expected = kept
    told: list[str] = []
    with later_revision():
        Store.open(directory, warn=told.append).close()
        [saved] = (directory / "backups").iterdir()
        assert told == [
            f"schema {expected['revision']} is migrated to 9999; the store as it was is in `{saved}`"
        ]
        assert migrations.revision(directory / DATABASE_FILE) == "9999"
        _require_kept(directory, expected)
    assert migrations.revision(saved / DATABASE_FILE) == expected["revision"]
    maintenance.restore(saved, DATABASE_FILE, directory.with_name("restored"))
    _require_kept(directory.with_name("restored"), expected)


def test_only_the_last_backup_of_a_migration_is_kept(kept: tuple[Path, dict[str, Any]]) -> None:
    directory, _ = kept
    older = directory / "backups" / "before-migration-from-0000-2020"
    by_repair = directory / "backups" / "2020"
    for folder in (older, by_repair):
        folder.mkdir(parents=True)
        (folder / DATABASE_FILE).write_bytes(b"a database")
    with later_revision():
        Store.open(directory).close()
        assert by_repair.exists()
        assert not older.exists()
        assert len(list((directory / "backups").iterdir())) == 2
        with Store.open(directory) as store:
            store.purge()
    assert not (directory / "backups").exists()


@pytest.mark.parametrize("step", MIGRATING)
def test_an_upgrade_that_fails_at_a_step_leaves_the_old_store_or_the_new(
    kept: tuple[Path, dict[str, Any]], step: str
) -> None:
    """The campaign (`scripts/faults --only released`) kills at the same steps."""
    directory, expected = kept

    def callback(reached: str) -> None:
        if reached == step:
            raise OSError(f"injected at {step}")

    failpoints.arm(callback)
    with later_revision(), pytest.raises(OSError, match="injected"):
        Store.open(directory)
    failpoints.arm(None)
    found = migrations.revision(directory / DATABASE_FILE)
    assert found == ("9999" if step == "migrations committed" else expected["revision"])
    if found != "9999":
        _require_kept(directory, expected)
    with later_revision():
        _require_kept(directory, expected)


def test_a_full_disk_during_an_upgrade_is_told_in_our_words(kept: tuple[Path, dict[str, Any]]) -> None:
    """SQLite ends the transaction by itself then, so that there is nothing left to roll back."""
    directory, expected = kept
    columns = "started_at, finished_at, summary"
    rows = f"INSERT INTO ingest_runs({columns}) SELECT hex(zeroblob(4096)), 1, 1 FROM chunks"
    with (
        later_revision(
            f"def upgrade():\n    op.execute('PRAGMA max_page_count=1')\n    op.execute('{rows}')\n"
        ),
        pytest.raises(StoreError, match="is full"),
    ):
        Store.open(directory)
    _require_kept(directory, expected)


def test_the_steps_of_an_upgrade_are_those_that_are_failed_at(kept: tuple[Path, dict[str, Any]]) -> None:
    steps: list[str] = []
    failpoints.arm(steps.append)
    with later_revision():
        Store.open(kept[0]).close()
    assert tuple(dict.fromkeys(steps)) == MIGRATING


LOSSES = {
    "children": (
        'op.execute("PRAGMA foreign_keys=ON"); op.execute("DELETE FROM text_blocks WHERE start > 0")',
        "rows of `text_blocks`",
    ),
    "a parent": ('op.execute("DELETE FROM sources WHERE id = 1")', "the parents of"),
    "the memory of ids": (
        'with op.batch_alter_table("documents", recreate="always") as d: d.alter_column("title")',
        "AUTOINCREMENT",
    ),
    "agreement of the full text": (
        "op.execute(\"UPDATE chunk_search_content SET c0 = 'other words' WHERE id = 3\")",
        "the full-text index",
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_an_upgrade_that_would_lose_something_changes_nothing(
    kept: tuple[Path, dict[str, Any]], loss: str
) -> None:
    directory, expected = kept
    statement, complaint = LOSSES[loss]
    with (
        later_revision(f"def upgrade():\n    {statement}\n"),
        pytest.raises(StoreError, match=complaint) as raised,
    ):
        Store.open(directory)
    assert raised.value.hint
    assert migrations.revision(directory / DATABASE_FILE) == expected["revision"]
    _require_kept(directory, expected)


def test_an_upgrade_that_drops_a_trigger_changes_nothing(kept: tuple[Path, dict[str, Any]]) -> None:
    """Rebuilding a table in a batch drops its triggers without a word."""
    directory, _ = kept
    with Store.open(directory) as store, store.write() as writer, writer.engine.begin() as connection:
        connection.execute(text("CREATE TRIGGER watched AFTER DELETE ON documents BEGIN SELECT 1; END"))
    with later_revision(), pytest.raises(StoreError, match="the trigger `watched`"):
        Store.open(directory)


def test_an_upgrade_gives_no_id_out_again(kept: tuple[Path, dict[str, Any]]) -> None:
    """A rebuilt table would start after its highest row, whatever rows were deleted above that."""
    directory, _ = kept
    with RAGSystem.open(directory, create=False, embedder=embedder()) as rag:
        gone = rag.add_document("A passing text.", name="passing")
        rag.remove_document(gone)
    with later_revision(), RAGSystem.open(directory, create=False, embedder=embedder()) as rag:
        assert rag.add_document("Another text.", name="another") > gone


def test_an_upgrade_without_room_for_its_backup_is_refused(
    kept: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, _ = kept
    usage = shutil.disk_usage(directory)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=400_000))
    before = _content(directory)
    with later_revision(), pytest.raises(StoreError, match="free") as raised:
        Store.open(directory)
    assert "free some space" in (raised.value.hint or "")
    assert _content(directory) == before


def test_a_newer_revision_is_refused_without_a_write(kept: tuple[Path, dict[str, Any]]) -> None:
    """Not even the journal mode is changed: a kept store is not in write-ahead mode."""
    directory, _ = kept
    database = directory / DATABASE_FILE
    from contextlib import closing
    from sqlite3 import connect

    with closing(connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '7777'")
        connection.commit()
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    before = _content(directory)
    for _ in range(2):
        with pytest.raises(StoreVersionError, match="7777"):
            Store.open(directory)
        with pytest.raises(StoreVersionError, match="7777"):
            RAGSystem.open(directory, embedder=embedder())
    assert _content(directory) == before
    assert sorted(path.name for path in directory.iterdir()) == ["index", DATABASE_FILE]


def test_a_kept_store_says_what_it_held() -> None:
    assert EXPECTED == "expected.json"
    assert "0001" in released_revisions()
