from __future__ import annotations

import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from store_fixtures import DIMENSION, Filled, unit_vectors

from ragstack.records import Filter
from ragstack.store import building, segments, verification
from ragstack.store import index as index_module
from ragstack.store import snapshot as snapshot_module
from ragstack.store import vectors as faiss_side
from ragstack.store.connections import fetch
from ragstack.store.index import INDEX_DIRECTORY
from ragstack.store.models import Segment
from ragstack.store.store import Store
from ragstack.store.stored_vectors import read_vectors

NO_FILTER = Filter()
QUERY = unit_vectors(1, 12345)[0]
EVERYTHING = 10_000


@pytest.fixture(autouse=True)
def approximate_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "APPROXIMATE_FROM", 100)


def _fill(filled: Filled, documents: int = 12, lines: int = 40) -> list[int]:
    with filled.store.write() as writer:
        return [
            filled.put_with(writer, f"{name}.txt", "\n".join(f"{name} {line}" for line in range(lines)))
            for name in range(documents)
        ]


def _rows(filled: Filled) -> list[SimpleNamespace]:
    with filled.store.read() as snapshot:
        rows = fetch(
            snapshot.connection, "SELECT * FROM segments WHERE retired_at IS NULL ORDER BY first_chunk_id"
        )
        return [SimpleNamespace(**row) for row in rows]


def _exact(filled: Filled, query: np.ndarray, limit: int) -> list[tuple[int, float]]:
    with filled.store.read() as snapshot:
        ids, rows = read_vectors(snapshot.connection, filled.generation.id, DIMENSION, first=0)
    return faiss_side.search_rows(ids, rows, query, limit)


def _found(filled: Filled, query: np.ndarray, limit: int) -> list[tuple[int, float]]:
    with filled.store.read() as snapshot:
        return [(found.chunk_id, found.score) for found in snapshot.dense_candidates(query, limit, NO_FILTER)]


def _recall(filled: Filled, queries: int = 50) -> float:
    shares = []
    for query in unit_vectors(queries, 777):
        true = {chunk_id for chunk_id, _ in _exact(filled, query, 10)}
        shares.append(len(true & {chunk_id for chunk_id, _ in _found(filled, query, 10)}) / len(true))
    return float(np.mean(shares))


def _problems(filled: Filled) -> list[str]:
    with filled.store.read(healing=False) as snapshot:
        found = verification.verify(snapshot.connection, filled.store.directory, share=1.0)
    return [f"{problem.damage}: {problem.detail}" for problem in found.problems]


# ------------------------------------------------------------------------- building


def test_a_segment_is_exact_below_the_threshold_and_an_inverted_file_from_it_on(filled: Filled) -> None:
    _fill(filled, documents=9, lines=11)
    filled.publish()
    assert [row.kind for row in _rows(filled)] == ["flat"]
    filled.put("more.txt", "one line")
    with filled.store.write() as writer:
        segments.rewrite_all(writer.engine, writer.directory, filled.generation.id)
    assert [(row.kind, row.vectors) for row in _rows(filled)] == [("ivf-sq8", 100)]


def test_the_threshold_can_be_given_for_one_build(filled: Filled) -> None:
    _fill(filled, documents=2)
    with filled.store.read() as snapshot:
        arguments = (snapshot.connection, filled.generation.id, DIMENSION)
        exact = building.build_stored(*arguments, first=1, last=None, approximate_from=81)
        inverted = building.build_stored(*arguments, first=1, last=None, approximate_from=80)
    assert exact is not None
    assert inverted is not None
    assert (exact.segment.kind, exact.check, exact.details) == ("flat", None, {})
    assert inverted.segment.kind == "ivf-sq8"
    assert inverted.segment.ids.tolist() == list(range(1, 81))


def test_the_recall_check_is_recorded_and_what_it_promises_is_found(filled: Filled) -> None:
    _fill(filled)
    filled.publish()
    [row] = _rows(filled)
    details = json.loads(row.details)
    assert details["lists"] == faiss_side.list_count(480)
    assert 1 <= details["probes"] <= details["lists"]
    assert details["recall_at_10"] >= building.TARGET_RECALL or details["probes"] == details["lists"]
    assert details["queries"] == building.QUERIES
    assert details["trained_on"] == 480
    with filled.store.read() as snapshot:
        [part] = snapshot.index.segments
        assert part.vectors.probes == details["probes"]
        assert snapshot.segments()[0].details == details
    assert _recall(filled) >= 0.97


def test_lists_and_quantiser_follow_the_present_size(filled: Filled) -> None:
    _fill(filled, documents=3)
    filled.publish()
    before = json.loads(_rows(filled)[0].details)
    with filled.store.write() as writer:
        for name in range(12):
            filled.put_with(
                writer, f"late {name}.txt", "\n".join(f"late {name} {line}" for line in range(40))
            )
        segments.rewrite_all(writer.engine, writer.directory, filled.generation.id)
    after = json.loads(_rows(filled)[0].details)
    assert (before["lists"], after["lists"]) == (faiss_side.list_count(120), faiss_side.list_count(600))
    assert after["trained_on"] > before["trained_on"]


def test_the_same_vectors_make_the_same_file(filled: Filled) -> None:
    _fill(filled)
    filled.publish()
    [before] = _rows(filled)
    with filled.store.write() as writer:
        segments.rebuild(writer.engine, writer.directory, before.file)
    [after] = _rows(filled)
    assert after.file != before.file
    assert after.sha256 == before.sha256


def test_the_number_of_lists_searched_is_the_smallest_step_that_reaches_the_target(filled: Filled) -> None:
    _fill(filled, documents=25)
    with filled.store.read() as snapshot:
        built = building.build_stored(
            snapshot.connection, filled.generation.id, DIMENSION, first=1, last=None, approximate_from=1
        )
        ids, rows = read_vectors(snapshot.connection, filled.generation.id, DIMENSION, first=0)
    assert built is not None
    assert built.check is not None
    random = np.random.default_rng(building.SEED)
    queries = building.recall_queries(rows, random)
    true = np.stack([[i for i, _ in faiss_side.search_rows(ids, rows, query, 10)] for query in queries])
    here = building.measured_recall(built.segment, queries, true, built.check.probes)
    fewer = building.measured_recall(built.segment, queries, true, max(1, built.check.probes // 3))
    assert fewer < here
    assert here >= building.TARGET_RECALL - 0.01


@settings(max_examples=25, deadline=None)
@given(count=st.integers(2, 400), batch=st.integers(1, 150), seed=st.integers(0, 10))
def test_an_inverted_file_that_searches_every_list_has_the_true_nearest_among_its_candidates(
    count: int, batch: int, seed: int
) -> None:
    rows, ids = unit_vectors(count, seed), np.arange(3, 3 + 2 * count, 2)
    growing = faiss_side.begin_inverted(rows, count)
    for at in range(0, count, batch):
        growing.add(ids[at : at + batch], rows[at : at + batch])
    segment = growing.finish()
    true = {chunk_id for chunk_id, _ in faiss_side.search_rows(ids, rows, QUERY, 10)}
    found = {chunk_id for chunk_id, _ in segment.search(QUERY, building.candidates_for(10))}
    assert true <= found
    assert sorted(i for part, _ in segment.parts() for i in part.tolist()) == ids.tolist()


# ------------------------------------------------------------------------ searching


def test_the_scores_of_an_inverted_file_and_the_tail_are_exact_and_comparable(filled: Filled) -> None:
    _fill(filled)
    filled.publish()
    filled.put("tail.txt", "\n".join(f"tail {line}" for line in range(60)))
    exact = dict(_exact(filled, QUERY, EVERYTHING))
    found = _found(filled, QUERY, 40)
    np.testing.assert_allclose([score for _, score in found], [exact[i] for i, _ in found], atol=1e-6)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_a_flat_segment_an_inverted_one_and_the_tail_are_searched_together(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PUBLISH_AT", 1)
    _fill(filled)
    filled.publish()
    filled.put("flat.txt", "\n".join(f"flat {line}" for line in range(19)))
    filled.publish()
    filled.put("tail.txt", "\n".join(f"tail {line}" for line in range(5)))
    assert [row.kind for row in _rows(filled)] == ["ivf-sq8", "flat"]
    assert _recall(filled) >= 0.97
    everything = {chunk_id for chunk_id, _ in _found(filled, QUERY, EVERYTHING)}
    assert {chunk_id for chunk_id, _ in _exact(filled, QUERY, EVERYTHING)} >= everything


def test_beside_a_large_segment_a_smaller_one_is_an_inverted_file_too(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PUBLISH_AT", 1)
    _fill(filled)
    filled.publish()
    filled.put("smaller.txt", "\n".join(f"smaller {line}" for line in range(20)))
    filled.publish()
    assert [(row.kind, row.vectors) for row in _rows(filled)] == [("ivf-sq8", 480), ("ivf-sq8", 20)]
    assert _recall(filled) >= 0.97


def test_one_more_document_leaves_a_large_segment_alone(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "PUBLISH_AT", 1)
    _fill(filled)
    filled.publish()
    [before] = _rows(filled)
    filled.put("more.txt", "one more line")
    filled.publish()
    rows = _rows(filled)
    assert rows[0].file == before.file
    assert [row.vectors for row in rows] == [480, 1]


def test_deleted_chunks_of_an_inverted_file_are_never_found(filled: Filled) -> None:
    documents = _fill(filled)
    filled.publish()
    with filled.store.write() as writer:
        writer.remove_documents(documents[:2])
    live = {chunk_id for chunk_id, _ in _exact(filled, QUERY, EVERYTHING)}
    assert len(live) == 400
    assert {chunk_id for chunk_id, _ in _found(filled, QUERY, 400)} <= live
    assert _recall(filled) >= 0.97


@pytest.mark.parametrize("exact_below", [0, EVERYTHING])
def test_a_rare_filter_still_yields_as_many_as_were_asked_for(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, exact_below: int
) -> None:
    monkeypatch.setattr(snapshot_module, "EXACT_BELOW", exact_below)
    documents = _fill(filled, documents=50)
    filled.publish()
    where = Filter(documents=(documents[7],))
    with filled.store.read() as snapshot:
        ids = snapshot.chunk_ids(documents[7])
        found = snapshot.dense_candidates(QUERY, 10, where)
    allowed = [(i, score) for i, score in _exact(filled, QUERY, EVERYTHING) if i in ids]
    assert [each.chunk_id for each in found] == [i for i, _ in allowed[:10]]


@settings(max_examples=50, deadline=None)
@given(
    only=st.one_of(st.none(), st.frozensets(st.integers(1, 90))),
    dead=st.frozensets(st.integers(1, 60), max_size=30),
)
def test_a_bitmap_allows_exactly_the_ids_that_are_wanted_and_live(
    only: frozenset[int] | None, dead: frozenset[int]
) -> None:
    ids = np.arange(1, 61)
    allowed = faiss_side.allowed_ids(
        only=None if only is None else np.array(sorted(only), np.int64),
        without=np.array(sorted(dead), np.int64),
        last=60,
        count=60,
    )
    segment = faiss_side.build_segment(ids, unit_vectors(60, 1))
    found = {chunk_id for chunk_id, _ in segment.search(QUERY, 60, allowed=allowed)}
    assert found == {i for i in ids.tolist() if (only is None or i in only) and i not in dead}


def test_a_search_reads_the_vectors_of_all_its_candidates_at_once(filled: Filled) -> None:
    _fill(filled)
    filled.publish()
    calls = []
    with filled.store.read() as snapshot:

        def read(chunk_ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
            calls.append(len(chunk_ids))
            return snapshot._read_vectors(chunk_ids)

        snapshot.index.search(QUERY, 10, read=read)
    assert calls == [building.candidates_for(10)]


def test_threads_with_different_filters_do_not_disturb_each_other(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_module, "EXACT_BELOW", 0)
    documents = _fill(filled)
    filled.publish()

    def search(number: int) -> bool:
        with filled.store.read() as snapshot:
            wanted = documents[number % len(documents)]
            found = snapshot.dense_candidates(QUERY, 10, Filter(documents=(wanted,)))
            return {each.chunk_id for each in found} <= {*snapshot.chunk_ids(wanted)} and len(found) == 10

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(search, range(60)))


# -------------------------------------------------------------------- files and damage


def _rewrite_file(filled: Filled, segment: faiss_side.VectorSegment) -> None:
    """Put another index into the file of the only segment, with a manifest that vouches for it."""
    import hashlib

    [row] = _rows(filled)
    parts: list[bytes] = []
    faiss_side.serialize(segment, parts.append)
    data = b"".join(parts)
    (filled.store.directory / INDEX_DIRECTORY / row.file).write_bytes(data)
    with filled.store.write(healing=False) as writer, writer.engine.begin() as connection:
        connection.execute(update(Segment).values(bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))


def _grown(ids: np.ndarray, rows: np.ndarray) -> faiss_side.VectorSegment:
    growing = faiss_side.begin_inverted(rows, len(rows))
    growing.add(ids, rows)
    return growing.finish()


def test_deep_verification_accepts_what_was_built(filled: Filled) -> None:
    documents = _fill(filled)
    filled.publish()
    with filled.store.write() as writer:
        writer.remove_documents(documents[:1])
    assert _problems(filled) == []


@pytest.mark.parametrize("damage", ["swapped", "garbled", "foreign ids"])
def test_deep_verification_finds_vectors_that_are_not_those_of_the_database(
    filled: Filled, damage: str
) -> None:
    _fill(filled)
    filled.publish()
    with filled.store.read() as snapshot:
        ids, rows = read_vectors(snapshot.connection, filled.generation.id, DIMENSION, first=0)
    ids, rows = ids.copy(), rows.copy()
    if damage == "swapped":
        rows[[10, 200]] = rows[[200, 10]]
    elif damage == "garbled":
        rows[17] += 0.05
    else:
        ids = ids + 1
    _rewrite_file(filled, _grown(ids, rows))
    [problem] = _problems(filled)
    expected = {
        "swapped": "2 vectors differ from the database",
        "garbled": "1 vectors differ from the database",
        "foreign ids": "holds other ids than the database",
    }
    assert expected[damage] in problem


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("kind", "flat", "not an index of this kind"),
        ("kind", "vamana-9", "unknown index kind `vamana-9`"),
        ("details", "{}", "does not say how many lists"),
        ("details", '{"probes": 0}', "does not say how many lists"),
        ("details", '{"probes": "many"}', "does not say how many lists"),
        ("details", "[]", "does not say how many lists"),
        ("details", "{", "cannot be used"),
        ("vectors", 479, "another number of vectors"),
    ],
)
def test_a_manifest_that_does_not_fit_its_file_is_said_so_and_healed(
    filled: Filled, column: str, value: object, reason: str
) -> None:
    _fill(filled)
    filled.publish()
    with filled.store.write() as writer, writer.engine.begin() as connection:
        connection.execute(update(Segment).values({column: value}))
    warnings: list[str] = []
    with Store.open(filled.store.directory, warn=warnings.append) as fresh:
        filled.store = fresh
        assert _recall(filled, queries=5) >= 0.9
    assert len(warnings) == 1
    assert reason in warnings[0]
    with Store.open(filled.store.directory, warn=warnings.append) as fresh:
        filled.store = fresh
        assert _problems(filled) == []
    assert [row.kind for row in _rows(filled)] == ["ivf-sq8"]
    assert len(warnings) == 1


def test_a_flat_file_under_the_name_of_an_inverted_one_is_refused() -> None:
    parts: list[bytes] = []
    faiss_side.serialize(faiss_side.build_segment(np.arange(5), unit_vectors(5, 1)), parts.append)
    with pytest.raises(ValueError, match="not an index of this kind"):
        faiss_side.deserialize(parts, "ivf-sq8", DIMENSION, size=sum(map(len, parts)), probes=1)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10**6), value=st.integers(0, 255), keep=st.floats(0.01, 1.0))
def test_a_changed_or_shortened_file_is_refused_before_faiss_sees_it(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int, keep: float
) -> None:
    import hashlib

    parts: list[bytes] = []
    faiss_side.serialize(_grown(np.arange(200), unit_vectors(200, 3)), parts.append)
    data = b"".join(parts)
    digest = hashlib.sha256(data).hexdigest()
    changed = bytearray(data[: max(1, int(keep * len(data)))])
    changed[at % len(changed)] = value
    path = tmp_path_factory.mktemp("index") / "x.faiss"
    path.write_bytes(changed)
    read = index_module.read_checked(path, len(data), digest)
    if bytes(changed) == data:
        assert isinstance(read, deque)
        assert b"".join(read) == data
    else:
        assert read == "is damaged"


def test_a_file_is_read_in_parts_and_each_is_let_go_of(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "PART_BYTES", 1_000)
    _fill(filled)
    filled.publish()
    [row] = _rows(filled)
    read = index_module.read_checked(
        filled.store.directory / INDEX_DIRECTORY / row.file, row.bytes, row.sha256
    )
    assert isinstance(read, deque)
    assert len(read) == -(-row.bytes // 1_000)
    segment = index_module.load_checked(read, vars(row), DIMENSION)
    assert not read
    assert segment.count == 480


def test_writing_that_fails_leaves_no_file_and_the_old_segment(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(filled)
    filled.publish()
    [before] = _rows(filled)

    def full(_segment: object, write: object) -> None:
        write(b"the first part")  # type: ignore[operator] # the callable that serialize is given
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(faiss_side, "serialize", full)
    with filled.store.write() as writer, pytest.raises(OSError, match="No space"):
        segments.rewrite_all(writer.engine, writer.directory, filled.generation.id)
    assert [row.file for row in _rows(filled)] == [before.file]
    files = sorted(path.name for path in (filled.store.directory / INDEX_DIRECTORY).iterdir())
    assert files == [before.file]
    assert Path(filled.store.directory / INDEX_DIRECTORY / before.file).stat().st_size == before.bytes
