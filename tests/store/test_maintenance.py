from __future__ import annotations

from pathlib import Path

import pytest
from store_fixtures import Filled

from ragstack.config import DATABASE_FILE
from ragstack.errors import StoreError, StoreLockedError, UsageError
from ragstack.records import Filter
from ragstack.store import maintenance
from ragstack.store.files import writer_lock
from ragstack.store.store import Store
from ragstack.store.vectors import to_bytes
from ragstack.store.verification import verify

SECRET = "the launch code is tangerine-seventeen-velvet"
KEPT = "this line stays in the library for good"


def _assert_clean(store: Store) -> None:
    with store.read() as snapshot:
        assert verify(snapshot.connection, store.directory, share=1.0).problems == ()


def _all_bytes(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def test_after_a_purge_no_file_holds_anything_of_a_deleted_document(filled: Filled) -> None:
    incoming = filled.incoming("secret.txt", f"{SECRET}\nsecond {SECRET[::-1]}")
    with filled.store.write() as writer:
        secret = writer.put_document(incoming, filled.generation)
        filled.put_with(writer, "kept.txt", f"{KEPT}\n" * 30)
        writer.publish(filled.generation, final=True)
    with filled.store.write() as writer:
        maintenance.backup(
            filled.store.database, filled.store.directory, filled.store.directory / "backups" / "one"
        )
        writer.remove_documents([secret])
    traces = [to_bytes(row) for row in incoming.vectors]
    traces += [SECRET[at : at + 16].encode() for at in range(len(SECRET) - 16)]
    assert any(trace in _all_bytes(filled.store.directory) for trace in traces)
    with filled.store.write() as writer:
        maintenance.purge(writer.engine, filled.store.directory, [filled.generation.id])
    left = _all_bytes(filled.store.directory)
    assert not any(trace in left for trace in traces)
    assert KEPT.encode() in left
    _assert_clean(filled.store)


def test_a_purge_that_a_reader_keeps_from_its_end_says_so(filled: Filled) -> None:
    secret = filled.put("secret.txt", SECRET)
    with Store.open(filled.store.directory) as other, other.read(), filled.store.write() as writer:
        writer.remove_documents([secret])
        with pytest.raises(StoreError, match="not complete"):
            maintenance.purge(writer.engine, filled.store.directory, [filled.generation.id])


def test_a_purge_takes_what_was_set_aside_along(filled: Filled) -> None:
    (filled.store.directory / "quarantine").mkdir()
    (filled.store.directory / "quarantine" / "old.faiss").write_bytes(b"vectors of old")
    with filled.store.write() as writer:
        maintenance.purge(writer.engine, filled.store.directory, [filled.generation.id])
    assert b"vectors of old" not in _all_bytes(filled.store.directory)


def test_a_backup_is_a_whole_store_as_of_one_moment(filled: Filled, tmp_path: Path) -> None:
    filled.put("a.txt", "alpha\nbeta")
    filled.publish()
    filled.put("b.txt", "gamma")
    maintenance.backup(filled.store.database, filled.store.directory, tmp_path / "saved")
    filled.put("c.txt", "delta")
    maintenance.restore(tmp_path / "saved", DATABASE_FILE, tmp_path / "restored")
    with Store.open(tmp_path / "restored") as restored:
        _assert_clean(restored)
        with restored.read() as snapshot:
            assert [info.path for info in snapshot.documents()] == ["a.txt", "b.txt"]


def test_writes_after_a_restore_are_right_although_ids_were_used_before(
    filled: Filled, tmp_path: Path
) -> None:
    """The published index of the newer store must not be taken for one of the restored store."""
    filled.put("a.txt", "alpha\nbeta")
    maintenance.backup(filled.store.database, filled.store.directory, tmp_path / "saved")
    filled.put("b.txt", "gamma\ndelta")
    filled.publish()
    newer_index = filled.store.directory / "index"
    maintenance.restore(tmp_path / "saved", DATABASE_FILE, tmp_path / "restored")
    for path in newer_index.glob("*"):
        (tmp_path / "restored" / "index" / path.name).write_bytes(path.read_bytes())
    with Store.open(tmp_path / "restored") as restored:
        filled.store = restored
        filled.put("c.txt", "epsilon\nzeta")
        filled.publish()
        _assert_clean(restored)
        with restored.read() as snapshot:
            assert snapshot.lexical_candidates("gamma", 5, Filter()) == []


def test_a_backup_needs_an_empty_place(filled: Filled, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").write_text("here")
    with pytest.raises(UsageError, match="not empty"):
        maintenance.backup(filled.store.database, filled.store.directory, tmp_path / "full")


def test_nothing_is_restored_where_another_process_makes_a_store(filled: Filled, tmp_path: Path) -> None:
    maintenance.backup(filled.store.database, filled.store.directory, tmp_path / "saved")
    (tmp_path / "new").mkdir()
    with writer_lock(tmp_path / "new", wait_seconds=0), pytest.raises(StoreLockedError):
        maintenance.restore(tmp_path / "saved", DATABASE_FILE, tmp_path / "new")
    assert not (tmp_path / "new" / DATABASE_FILE).exists()
    maintenance.restore(tmp_path / "saved", DATABASE_FILE, tmp_path / "new")
    with Store.open(tmp_path / "new") as restored:
        _assert_clean(restored)


def test_a_restore_never_overwrites_a_store(filled: Filled, tmp_path: Path) -> None:
    maintenance.backup(filled.store.database, filled.store.directory, tmp_path / "saved")
    with pytest.raises(StoreError, match="already"):
        maintenance.restore(tmp_path / "saved", DATABASE_FILE, filled.store.directory)
    with pytest.raises(UsageError, match="holds no"):
        maintenance.restore(tmp_path, DATABASE_FILE, tmp_path / "new")


def test_backups_of_one_second_never_share_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "now", lambda: "2026-01-02T03:04:05+00:00")
    made = []
    for _ in range(3):
        made.append(maintenance.new_backup_directory(tmp_path))
        made[-1].mkdir(parents=True)
    assert len(set(made)) == 3
    made[0].rmdir()
    assert not maintenance.new_backup_directory(tmp_path).exists()
    made[0].mkdir()
    made[1].rmdir()
    assert not maintenance.new_backup_directory(tmp_path).exists()
