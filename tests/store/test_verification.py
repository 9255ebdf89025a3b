from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from store_fixtures import Filled

from ragstack.config import DATABASE_FILE
from ragstack.store import maintenance
from ragstack.store.store import Store
from ragstack.store.verification import Damage, Verification, verify

TEXT = "\n".join(f"line number {number} of a text about caches" for number in range(40))


@pytest.fixture
def library(filled: Filled) -> Filled:
    ids = [filled.put(f"{name}.txt", f"{name}\n{TEXT}") for name in "abcd"]
    filled.publish()
    with filled.store.write() as writer:
        writer.remove_documents([ids[1]])
    filled.put("e.txt", "in the tail\n" + TEXT)
    return filled


def _verify(store: Store, share: float = 1.0, seed: int = 0) -> Verification:
    with store.read(healing=False) as snapshot:
        return verify(snapshot.connection, store.directory, share=share, seed=seed)


def _damage(filled: Filled, *statements: str) -> None:
    """Change rows behind the store's back."""
    filled.store.close()
    with closing(sqlite3.connect(filled.store.directory / DATABASE_FILE)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_good_store_is_clean_at_every_depth(library: Filled) -> None:
    for share in (0.0, 0.5, 1.0):
        found = _verify(library.store, share)
        assert found.problems == ()
        assert found.is_clean
    assert found.chunks_checked == found.chunks == 4 * 41


def test_a_sample_is_drawn_by_its_seed(library: Filled) -> None:
    first, second = (_verify(library.store, 0.5, seed=11) for _ in range(2))
    assert first == second
    assert 0 < first.chunks_checked < first.chunks
    assert first.seed == 11


FLIP = "substr({0}, 1, 9) || x'5a' || substr({0}, 11)"

CASES: dict[str, tuple[str, Damage]] = {
    "a vector": (
        f"UPDATE vectors SET vector = CAST({FLIP.format('vector')} AS BLOB) WHERE chunk_id = 3", Damage.CHUNK
    ),
    "a text block": ("UPDATE text_blocks SET text = replace(text, 'number 7', 'number 9')", Damage.TEXT),
    "a span": ('UPDATE chunks SET "end" = "end" - 1 WHERE id = 5', Damage.CHUNK),
    "two vectors swapped": (
        "UPDATE vectors SET chunk_id = chunk_id - 7 WHERE chunk_id IN (3, 4)", Damage.CHUNK
    ),
    "a full-text row": ("UPDATE chunk_search SET body = 'other words' WHERE rowid = 4", Damage.FULL_TEXT),
    "a lost full-text row": ("DELETE FROM chunk_search WHERE rowid = 4", Damage.FULL_TEXT),
    "a lost vector": ("DELETE FROM vectors WHERE chunk_id = 6", Damage.RELATION),
    "a masked living chunk": ("INSERT INTO dead_vectors VALUES (7, 1)", Damage.RELATION),
    "a forgotten dead chunk": ("DELETE FROM dead_vectors WHERE chunk_id = 50", Damage.SEGMENT),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_damage_in_the_database_is_found_and_mended(library: Filled, case: str) -> None:
    statement, damage = CASES[case]
    statements = [statement]
    if "swapped" in case:
        statements.append("UPDATE vectors SET chunk_id = -chunk_id WHERE chunk_id < 0")
    _damage(library, *statements)
    with Store.open(library.store.directory) as store:
        found = _verify(store)
        assert damage in {problem.damage for problem in found.problems}
        assert all(problem.remedy for problem in found.problems)
        with store.write(healing=False) as writer:
            maintenance.repair(writer.engine, store.directory, found.problems)
        left = _verify(store)
        # What the store cannot mend by itself is marked, so that the next ingest reads the file again.
        assert {problem.damage for problem in left.problems} <= {Damage.TEXT, Damage.CHUNK}
        with store.read() as snapshot:
            marked = {info.document_id for info in snapshot.documents() if info.stale_reason}
            assert {problem.document_id for problem in left.problems} <= marked


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [_truncate, _flip, Path.unlink])
def test_a_harmed_index_file_is_found_and_made_anew(library: Filled, harm: Callable[[Path], None]) -> None:
    [path] = (library.store.directory / "index").glob("*.faiss")
    harm(path)
    with Store.open(library.store.directory) as store:
        found = _verify(store, share=0.0)
        assert [problem.damage for problem in found.problems] == [Damage.SEGMENT]
        with store.write(healing=False) as writer:
            maintenance.repair(writer.engine, store.directory, found.problems)
        assert _verify(store).is_clean


def test_a_stray_file_is_named_but_is_no_damage(library: Filled) -> None:
    (library.store.directory / "index" / "left.faiss").write_bytes(b"by a crash")
    found = _verify(library.store)
    assert [problem.damage for problem in found.problems] == [Damage.STRAY_FILE]
    assert found.is_clean


def test_verifying_writes_nothing(library: Filled) -> None:
    library.store.close()
    before = {
        path: path.read_bytes() for path in library.store.directory.rglob("*.*") if path.suffix != ".db-shm"
    }
    _verify(library.store)
    library.store.close()
    after = {
        path: path.read_bytes() for path in library.store.directory.rglob("*.*") if path.suffix != ".db-shm"
    }
    assert {path: data for path, data in after.items() if data} == {
        path: data for path, data in before.items() if data
    }
