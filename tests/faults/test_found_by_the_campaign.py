"""One test for each bug that the campaign found, so that none of them comes back unseen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack.config import DATABASE_FILE
from ragstack.errors import StoreDamagedError, StoreError, UsageError
from ragstack.store import failpoints
from ragstack.store.index import INDEX_DIRECTORY
from ragstack.store.verification import Damage
from ragstack.system import RAGSystem

TEXT = "The quay is long. A lantern hangs at its end."


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with _open(tmp_path / "store") as rag:
        rag.add_document(TEXT, name="quay", metadata={"author": "Ann"})
    return tmp_path / "store"


def _open(directory: Path) -> RAGSystem:
    return RAGSystem.open(directory, embedder=DeterministicEmbedder(dimension=8))


def _execute(store: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(store / DATABASE_FILE)) as connection:
        rows = connection.execute(statement, values).fetchall()
        connection.commit()
    return rows


def _damages(store: Path) -> set[Damage]:
    with _open(store) as rag:
        return {problem.damage for problem in rag.verify(share=1.0).problems}


def _fail_at(step: str, error: BaseException) -> None:
    def callback(reached: str) -> None:
        if reached == step:
            raise error

    failpoints.arm(callback)


@pytest.fixture(autouse=True)
def _disarm() -> object:
    yield
    failpoints.arm(None)


def test_a_damaged_vector_is_not_reused_for_an_equal_text(store: Path) -> None:
    """It would get a valid checksum there, and nobody could tell any more that it is wrong."""
    [(vector,)] = _execute(store, "SELECT vector FROM vectors")
    _execute(store, "UPDATE vectors SET vector = ?", (-np.frombuffer(vector, "<f4")).tobytes())
    with _open(store) as rag:
        rag.remove_document(rag.add_document("Something else.", name="other"))
        rag.add_document(TEXT, name="quay 2", title="quay")
        rag.remove_document("quay")
    assert [row[0] for row in _execute(store, "SELECT vector FROM vectors")] == [vector]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE documents SET title = 'quax'",
        "UPDATE documents SET media_type = 'text/html'",
        "UPDATE document_metadata SET value = 'Eve'",
        "UPDATE document_structures SET elements = '[]'",
        "UPDATE text_blocks SET first_line = 9",
    ],
)
def test_a_change_of_what_describes_a_document_is_noticed(store: Path, statement: str) -> None:
    assert _damages(store) == set()
    _execute(store, statement)
    assert Damage.TEXT in _damages(store)


def test_a_change_of_a_chunks_headings_is_noticed(store: Path) -> None:
    _execute(store, "UPDATE chunks SET headings = '[\"Pier\"]'")
    assert _damages(store) == {Damage.CHUNK}


def test_wrong_totals_of_the_full_text_index_are_noticed_and_mended(store: Path) -> None:
    _execute(store, "UPDATE chunk_search_data SET block = x'0107020000' WHERE id = 1")
    assert _damages(store) == {Damage.FULL_TEXT}
    with _open(store) as rag:
        rag.repair(apply=True)
    assert _damages(store) == set()


def test_a_retired_index_file_may_be_missing(store: Path) -> None:
    _execute(store, "UPDATE segments SET retired_at = 'before'")
    for path in (store / INDEX_DIRECTORY).iterdir():
        path.unlink()
    assert _damages(store) == set()


def test_an_unfinished_backup_cannot_be_restored(store: Path, tmp_path: Path) -> None:
    _fail_at("database backed up", OSError("no space"))
    with _open(store) as rag, pytest.raises(OSError, match="no space"):
        rag.backup(tmp_path / "saved")
    with pytest.raises(UsageError, match="holds no"):
        RAGSystem.restore(tmp_path / "saved", tmp_path / "restored")


def test_two_backups_in_one_second_have_two_places(store: Path) -> None:
    for _ in range(2):
        _execute(store, "DELETE FROM chunk_search")
        with _open(store) as rag:
            rag.repair(apply=True)
    assert len(list((store / "backups").iterdir())) == 2


def test_what_a_crash_left_of_databases_and_backups_is_removed_by_the_next_writer(store: Path) -> None:
    (store / f".{DATABASE_FILE}.0123").write_bytes(b"half")
    (store / "backups" / "half").mkdir(parents=True)
    with _open(store) as rag, rag.store.write():
        pass
    assert not (store / f".{DATABASE_FILE}.0123").exists()
    assert list((store / "backups").iterdir()) == []


def test_an_emptied_database_is_damage_and_no_new_store(store: Path) -> None:
    (store / DATABASE_FILE).write_bytes(b"")
    with pytest.raises(StoreDamagedError, match="empty"):
        RAGSystem.open(store, create=False)


def test_undecodable_values_are_reported_as_damage(store: Path) -> None:
    _execute(store, "UPDATE generations SET fingerprint = '{'")
    with pytest.raises(StoreDamagedError, match="cannot be read"), _open(store) as rag:
        rag.verify()


def test_a_full_disk_is_reported_in_our_words(store: Path) -> None:
    _fail_at("document written", sqlite3.OperationalError("database or disk is full"))
    with _open(store) as rag, pytest.raises(StoreError, match="is full"):
        rag.add_document("More.", name="more")
    failpoints.arm(None)
    assert _damages(store) == set()
