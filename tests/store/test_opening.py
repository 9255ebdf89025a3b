from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import sys
from pathlib import Path

import pytest
from deterministic_embedder import DeterministicEmbedder
from sqlalchemy import text

from ragstack.config import DATABASE_FILE
from ragstack.errors import StoreDamagedError, StoreLockedError, StoreNotFoundError, StoreVersionError
from ragstack.records import Filter
from ragstack.store.connections import scalar
from ragstack.store.database import open_engine
from ragstack.store.store import Store
from ragstack.system import RAGSystem


def test_opening_a_missing_store_fails_and_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError) as raised:
        Store.open(tmp_path / "nowhere")
    assert "ragstack ingest" in (raised.value.hint or "")
    assert list(tmp_path.iterdir()) == []


def test_creating_twice_opens_the_same_store(tmp_path: Path) -> None:
    identities = []
    for _ in range(2):
        with Store.create(tmp_path / "store") as store, store.read() as snapshot:
            identities.append(scalar(snapshot.connection, "SELECT identity FROM store_info"))
    assert identities[0] == identities[1]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_only_the_owner_may_enter_a_store(tmp_path: Path) -> None:
    Store.create(tmp_path / "store").close()
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    Store.create(tmp_path / "store").close()
    database = tmp_path / "store" / DATABASE_FILE
    engine = open_engine(database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    before = database.read_bytes()
    with pytest.raises(StoreVersionError, match="9999"):
        Store.open(tmp_path / "store")
    assert database.read_bytes() == before


def test_a_file_that_is_no_database_is_reported_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(StoreDamagedError) as raised:
        Store.open(tmp_path)
    assert "backup" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"overlap INTEGER", b"overlaq INTEGER"),
        (b"reader_version ", b"reader_versyon "),
        (b"first_chunk_id INTEGER", b"first_chunk_if INTEGER"),
        (b"CREATE TABLE generations", b"CREATE TABLE\xa0generations"),
        (b"USING fts5(", b"USING fts7("),
        (b"porter unicode61", b"porter unicode71"),
        (b"REFERENCES documents (id)", b"REFERENCES documents (if)"),
    ],
)
def test_a_changed_byte_of_the_schema_is_reported_as_damage(
    tmp_path: Path, was: bytes, becomes: bytes
) -> None:
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder()) as system:
        system.add_document("The pump is cleaned every 5 days.", name="pump.md")
    database = tmp_path / "store" / DATABASE_FILE
    written = database.read_bytes()
    assert was in written
    database.write_bytes(written.replace(was, becomes))
    with pytest.raises(StoreDamagedError):
        _look_into(tmp_path / "store")


def _look_into(directory: Path) -> None:
    with Store.open(directory) as store, store.read() as snapshot:
        snapshot.documents()
        snapshot.lexical_candidates("pump", 3, Filter())
        store.verify()


@pytest.mark.parametrize("column", ["reader_version", "path"])
def test_a_column_in_another_case_is_read_all_the_same(tmp_path: Path, column: str) -> None:
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder()) as system:
        system.add_document("The pump is cleaned every 5 days.", name="pump.md")
    database = tmp_path / "store" / DATABASE_FILE
    database.write_bytes(database.read_bytes().replace(f"{column} ".encode(), f"{column.upper()} ".encode()))
    with Store.open(tmp_path / "store") as store, store.read() as snapshot:
        assert [document.path for document in snapshot.documents()] == ["pump.md"]
        assert [document.path for document in snapshot.selected_documents(Filter())] == ["pump.md"]


def test_every_commit_is_synced_and_foreign_keys_hold(tmp_path: Path) -> None:
    with Store.create(tmp_path / "store") as store:
        engine = open_engine(store.database)
        with engine.connect() as connection:
            values = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
            }
        engine.dispose()
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with (
        Store.create(tmp_path / "store") as store,
        store.read() as snapshot,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        snapshot.connection.execute("UPDATE store_info SET sequence = 7")


def _hold(directory: str, ready: object, release: object) -> None:
    with Store.open(Path(directory)) as store, store.write():
        ready.set()  # type: ignore[attr-defined]
        release.wait(30)  # type: ignore[attr-defined]


def test_a_second_writer_is_told_who_holds_the_store(tmp_path: Path) -> None:
    Store.create(tmp_path / "store").close()
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path / "store"), ready, release))
    holder.start()
    try:
        assert ready.wait(30)
        with (
            Store.open(tmp_path / "store") as store,
            pytest.raises(StoreLockedError, match=f"process {holder.pid}"),
            store.write(wait_seconds=0.1),
        ):
            raise AssertionError("two writers at once")
    finally:
        release.set()
        holder.join()


def test_the_lock_of_a_killed_writer_is_free(tmp_path: Path) -> None:
    Store.create(tmp_path / "store").close()
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path / "store"), ready, release))
    holder.start()
    assert ready.wait(30)
    holder.kill()
    holder.join()
    with Store.open(tmp_path / "store") as store, store.write(wait_seconds=5) as writer:
        assert writer.generation() is None
    assert not (tmp_path / "store" / "write.pid").exists()
