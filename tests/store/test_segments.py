from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from store_fixtures import DIMENSION, Filled, unit_vectors

from ragstack.records import Filter
from ragstack.store import segments
from ragstack.store.connections import fetch
from ragstack.store.index import INDEX_DIRECTORY
from ragstack.store.store import Store
from ragstack.store.stored_vectors import read_vectors

NO_FILTER = Filter()


def _files(filled: Filled) -> list[Path]:
    return sorted((filled.store.directory / INDEX_DIRECTORY).glob("*.faiss"))


def _live(filled: Filled) -> list[SimpleNamespace]:
    with filled.store.read() as snapshot:
        rows = fetch(
            snapshot.connection, "SELECT * FROM segments WHERE retired_at IS NULL ORDER BY first_chunk_id"
        )
        return [SimpleNamespace(**row) for row in rows]


def _assert_exact(filled: Filled, query: np.ndarray) -> None:
    """What the index finds is what comparing with every vector in SQLite finds."""
    with filled.store.read() as snapshot:
        ids, rows = read_vectors(snapshot.connection, filled.generation.id, DIMENSION, first=0)
        scores = rows @ query
        expected = [int(ids[at]) for at in np.argsort(-scores, kind="stable")[:5]]
        found = snapshot.dense_candidates(query, 5, NO_FILTER)
        assert [candidate.chunk_id for candidate in found] == expected
        np.testing.assert_allclose([c.score for c in found], np.sort(scores)[::-1][:5], rtol=1e-5)


def _fill(filled: Filled, names: str, lines: int = 6) -> dict[str, int]:
    return {
        name: filled.put(f"{name}.txt", "\n".join(f"{name} {line}" for line in range(lines)))
        for name in names
    }


QUERY = unit_vectors(1, 12345)[0]


def test_the_tail_is_searched_before_anything_is_published(filled: Filled) -> None:
    _fill(filled, "abc")
    assert _files(filled) == []
    _assert_exact(filled, QUERY)


def test_published_segments_and_the_tail_are_searched_together(filled: Filled) -> None:
    _fill(filled, "abc")
    assert filled.publish()
    _fill(filled, "de")
    assert len(_files(filled)) == 1
    _assert_exact(filled, QUERY)


def test_deleted_chunks_of_a_segment_are_masked(filled: Filled) -> None:
    ids = _fill(filled, "abcdefgh")
    filled.publish()
    with filled.store.write() as writer:
        writer.remove_documents([ids["c"]])
    filled.put("d.txt", "entirely new", replaces=ids["d"])
    _assert_exact(filled, QUERY)


def test_a_segment_with_many_dead_vectors_is_rewritten(filled: Filled) -> None:
    ids = _fill(filled, "abcd")
    filled.publish()
    with filled.store.write() as writer:
        writer.remove_documents([ids["a"], ids["b"]])
    assert filled.publish()
    assert [row.vectors for row in _live(filled)] == [12]
    _assert_exact(filled, QUERY)
    with filled.store.read() as snapshot:
        assert len(snapshot.index.dead) == 0


def test_a_store_whose_documents_are_all_gone_has_no_segment(filled: Filled) -> None:
    ids = _fill(filled, "ab")
    filled.publish()
    with filled.store.write() as writer:
        writer.remove_documents(ids.values())
    filled.publish()
    assert _live(filled) == []
    with filled.store.read() as snapshot:
        assert snapshot.dense_candidates(QUERY, 5, NO_FILTER) == []


def test_publishing_merges_geometrically(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PUBLISH_AT", 1)
    counts = []
    for number in range(24):
        _fill(filled, chr(ord("a") + number), lines=1)
        filled.publish()
        counts.append(len(_live(filled)))
    assert max(counts) <= 5  # about log2 of 24
    sizes = [row.vectors for row in _live(filled)]
    assert sum(sizes) == 24
    assert sizes == sorted(sizes, reverse=True)
    _assert_exact(filled, QUERY)


def test_a_long_tail_is_published_during_an_ingest(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_TAIL", 10)
    _fill(filled, "abc")
    with filled.store.write() as writer:
        assert writer.publish(filled.generation, final=False)
        assert writer.tail_length(filled.generation) == 0


def test_a_short_tail_is_left_alone_once_there_is_a_segment(filled: Filled) -> None:
    _fill(filled, "abc")
    assert filled.publish()
    _fill(filled, "d", lines=1)
    assert not filled.publish()


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "empty", "foreign"])
def test_a_damaged_segment_is_rebuilt_and_said_so_once(filled: Filled, damage: str) -> None:
    ids = _fill(filled, "abcd")
    filled.publish()
    with filled.store.write() as writer:
        writer.remove_documents([ids["b"]])
    [path] = _files(filled)
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {
                "truncated": data[:-7],
                "flipped": data[:200] + bytes([data[200] ^ 1]) + data[201:],
                "empty": b"",
                "foreign": b"x" * len(data),
            }[damage]
        )
    warnings: list[str] = []
    with Store.open(filled.store.directory, warn=warnings.append) as fresh:
        filled.store = fresh
        _assert_exact(filled, QUERY)
    assert len(warnings) == 1
    assert "rebuilt from the stored vectors" in warnings[0]


def test_files_that_no_manifest_names_are_removed_by_the_next_writer(filled: Filled) -> None:
    _fill(filled, "a")
    filled.publish()
    stray = filled.store.directory / INDEX_DIRECTORY / "0123.faiss"
    stray.write_bytes(b"left by a crash")
    with filled.store.write():
        pass
    assert not stray.exists()
    assert len(_files(filled)) == 1


def test_a_retired_segment_stays_until_the_next_publication(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PUBLISH_AT", 1)
    _fill(filled, "a")
    filled.publish()
    [old] = _files(filled)
    _fill(filled, "bcd")
    filled.publish()
    assert old.exists()
    _fill(filled, "efghijkl")
    filled.publish()
    assert not old.exists()


def test_an_open_reader_sees_the_next_commit_of_another(filled: Filled) -> None:
    with Store.open(filled.store.directory) as reader:
        with reader.read() as snapshot:
            assert snapshot.lexical_candidates("zebra", 5, NO_FILTER) == []
        _fill(filled, "a")
        filled.put("z.txt", "a zebra")
        with reader.read() as snapshot:
            [found] = snapshot.lexical_candidates("zebra", 5, NO_FILTER)
            assert found.chunk_id in {
                candidate.chunk_id for candidate in snapshot.dense_candidates(QUERY, 100, NO_FILTER)
            }


def test_a_snapshot_does_not_see_what_is_committed_while_it_is_open(filled: Filled) -> None:
    _fill(filled, "a")
    with filled.store.read() as snapshot:
        before = len(snapshot.dense_candidates(QUERY, 100, NO_FILTER))
        with Store.open(filled.store.directory) as other, other.write() as writer:
            filled.put_with(writer, "b.txt", "one\ntwo")
        assert len(snapshot.dense_candidates(QUERY, 100, NO_FILTER)) == before
        assert len(snapshot.documents()) == 1


def test_a_damaged_segment_is_made_anew_and_the_bad_file_set_aside(filled: Filled) -> None:
    _fill(filled, "abcd")
    filled.publish()
    [path] = _files(filled)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    damaged = path.read_bytes()
    warnings: list[str] = []
    with Store.open(filled.store.directory, warn=warnings.append) as fresh:
        filled.store = fresh
        _assert_exact(filled, QUERY)
        _assert_exact(filled, QUERY)
    [made_anew] = [row.file for row in _live(filled)]
    assert made_anew != path.name
    assert (filled.store.directory / "quarantine" / path.name).read_bytes() == damaged
    with Store.open(filled.store.directory, warn=warnings.append) as fresh:
        filled.store = fresh
        _assert_exact(filled, QUERY)
    assert sum("rebuilt from the stored vectors" in warning for warning in warnings) == 1
