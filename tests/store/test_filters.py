from __future__ import annotations

from datetime import UTC, datetime

import pytest
from store_fixtures import Filled, unit_vectors

from ragstack.records import Filter
from ragstack.store import index
from ragstack.store import snapshot as snapshot_module


@pytest.fixture
def library(filled: Filled) -> Filled:
    day = 86_400 * 10**9
    filled.put("notes/a.md", "common words alpha", media_type="text/markdown", mtime_ns=1 * day)
    filled.put("notes/deep/b.txt", "common words beta", mtime_ns=2 * day, metadata={"author": "Ada"})
    filled.put("manual.pdf", "common words gamma", media_type="application/pdf", mtime_ns=3 * day)
    return filled


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Filter(), {"alpha", "beta", "gamma"}),
        (Filter(paths=("notes/**",)), {"alpha", "beta"}),
        (Filter(paths=("*.md", "*.pdf")), {"alpha", "gamma"}),
        (Filter(paths=("nothing/**",)), set()),
        (Filter(media_types=("pdf",)), {"gamma"}),
        (Filter(media_types=("text",)), {"alpha", "beta"}),
        (Filter(media_types=("md", "application/pdf")), {"alpha", "gamma"}),
        (Filter(metadata=(("author", "Ada"),)), {"beta"}),
        (Filter(metadata=(("author", "Bob"),)), set()),
        (Filter(since=datetime(1970, 1, 3, tzinfo=UTC)), {"beta", "gamma"}),
        (Filter(until=datetime(1970, 1, 3, tzinfo=UTC)), {"alpha", "beta"}),
        (Filter(documents=(1, 3)), {"alpha", "gamma"}),
        (Filter(paths=("notes/**",), media_types=("plain",)), {"beta"}),
    ],
)
@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("exact_below", [0, 2_000])
def test_a_filter_holds_before_both_searches(
    library: Filled,
    monkeypatch: pytest.MonkeyPatch,
    where: Filter,
    expected: set[str],
    published: bool,
    exact_below: int,
) -> None:
    monkeypatch.setattr(snapshot_module, "EXACT_BELOW", exact_below)
    if published:
        library.publish()
    with library.store.read() as snapshot:
        for found in (
            snapshot.dense_candidates(unit_vectors(1, 3)[0], 10, where),
            snapshot.lexical_candidates("common", 10, where),
        ):
            chunks = snapshot.chunks(candidate.chunk_id for candidate in found)
            assert {chunk.text.split()[-1] for chunk in chunks.values()} == expected


def test_a_rare_filter_still_yields_all_it_can(filled: Filled) -> None:
    with filled.store.write() as writer:
        for number in range(300):
            filled.put_with(writer, f"many/{number}.txt", f"text {number}")
        for number in range(5):
            filled.put_with(writer, f"few/{number}.txt", f"rare {number}")
        writer.publish(filled.generation, final=True)
    with filled.store.read() as snapshot:
        found = snapshot.dense_candidates(unit_vectors(1, 4)[0], 5, Filter(paths=("few/**",)))
    assert len(found) == 5
    assert index.EXACT_BELOW > 0
