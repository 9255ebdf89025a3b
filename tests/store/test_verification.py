from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from store_fixtures import Filled

from ragstack.config import DATABASE_FILE
from ragstack.store import fulltext_check, maintenance
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


ORPHANS = {
    "documents without their source": "DELETE FROM sources",
    "chunks without their document": "DELETE FROM documents WHERE path = 'a.txt'",
    "everything of a generation": "DELETE FROM generations",
    "texts without their document": "INSERT INTO text_blocks VALUES (99, 0, 4, 1, 'lost')",
    "metadata without its document": "INSERT INTO document_metadata VALUES (99, 'author', 'Ann')",
    "a failure without its source": "INSERT INTO failures VALUES (99, 'x', 'y', 'text', 1, 0, 0, 0, 0, '')",
    "a mask without its generation": "INSERT INTO dead_vectors VALUES (900, 99)",
}


@pytest.mark.parametrize("case", ORPHANS)
def test_rows_without_their_parent_are_found_and_mended(library: Filled, case: str) -> None:
    _damage(library, ORPHANS[case])
    with Store.open(library.store.directory) as store:
        found = _verify(store)
        assert Damage.RELATION in {problem.damage for problem in found.problems}
        with store.write(healing=False) as writer:
            maintenance.repair(writer.engine, store.directory, found.problems)
        assert _verify(store).problems == ()


def test_documents_whose_source_is_lost_stay_and_can_be_given_their_root(library: Filled) -> None:
    _damage(library, "DELETE FROM sources")
    with Store.open(library.store.directory) as store:
        _, _, saved = store.repair(apply=True)
        assert saved is not None
        with store.write() as writer:
            writer.relocate_source("/lost-source-1", "/library")
        with store.read() as snapshot:
            assert {(info.root, info.path) for info in snapshot.documents()} == {
                ("/library", f"{name}.txt") for name in "acde"
            }


def test_documents_of_a_lost_generation_are_marked_to_be_read_again(library: Filled) -> None:
    _damage(library, "DELETE FROM generations")
    with Store.open(library.store.directory) as store:
        store.repair(apply=True)
        with store.read() as snapshot:
            assert snapshot.generation() is None
            assert all(info.stale_reason == maintenance.DAMAGED for info in snapshot.documents())


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


# ---------------------------------------------------------------------- the full-text index


def _own_check_passes(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("INSERT INTO chunk_search(chunk_search, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError:
        return False
    return True


def test_entries_that_cancel_out_in_the_check_of_fts5_are_found(filled: Filled) -> None:
    """The lowest bit of a term's last letter: the hashes of its two entries may change by the same bit."""
    words = [f"{letter}ubobab" for letter in "cdfghjklmnpqrstvwxz"]
    filled.put("a.txt", " ".join(words) + "\nand " + " not ".join(words))
    filled.store.close()
    with closing(sqlite3.connect(filled.store.database, isolation_level=None)) as connection:
        rows = connection.execute("SELECT id, block FROM chunk_search_data WHERE id > 10").fetchall()
        page, block = next(row for row in rows if b"ubobab" in row[1])
        for word in words:
            flipped = block.replace(word.encode(), word[:-1].encode() + b"c")
            assert flipped != block
            connection.execute("UPDATE chunk_search_data SET block = ? WHERE id = ?", (flipped, page))
            if _own_check_passes(connection):
                break
        else:
            pytest.fail("FTS5 notices all of them: its own check would do")
        lost = connection.execute("SELECT count(*) FROM chunk_search WHERE chunk_search MATCH ?", (word,))
        assert lost.fetchone() == (0,)
    assert {problem.damage for problem in _verify(filled.store).problems} == {Damage.FULL_TEXT}


def test_a_store_without_a_chunk_is_clean_before_and_after_it_had_one(filled: Filled) -> None:
    assert _verify(filled.store).problems == ()
    gone = filled.put("a.txt", "alpha")
    with filled.store.write() as writer:
        writer.remove_documents([gone])
    assert _verify(filled.store).problems == ()


def test_what_cannot_be_checked_is_said_and_is_not_called_clean(
    library: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fulltext_check, "WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(library.store.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = _verify(library.store)
        other.execute("ROLLBACK")
    [problem] = found.problems
    assert (problem.damage, "locked" in problem.detail) == (Damage.UNCHECKED, True)
    assert not found.is_clean
    assert "when no other process writes" in problem.remedy
    assert maintenance.plan_repairs(found.problems) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE chunk_search_docsize SET sz = x'030101' WHERE id = 5",
        "DELETE FROM chunk_search_docsize WHERE id = 5",
        "DELETE FROM chunk_search_idx",
        "UPDATE chunk_search_idx SET pgno = pgno + 2",
        "UPDATE chunk_search_data SET block = zeroblob(20) WHERE id = 137438953473",
    ],
)
def test_damage_inside_the_full_text_index_is_found_and_mended(library: Filled, statement: str) -> None:
    library.put("long.txt", "\n".join(f"w{number * 7919 % 100_003}" for number in range(3_000)))
    _damage(library, statement)
    with Store.open(library.store.directory) as store:
        found = _verify(store)
        assert {problem.damage for problem in found.problems} == {Damage.FULL_TEXT}
        with store.write(healing=False) as writer:
            maintenance.repair(writer.engine, store.directory, found.problems)
        assert _verify(store).problems == ()
