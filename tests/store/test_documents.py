from __future__ import annotations

import numpy as np
import pytest
from store_fixtures import Filled, unit_vectors

from ragstack.errors import NotInStoreError
from ragstack.records import Element, ElementKind, Filter, Landmark
from ragstack.store import documents, fulltext
from ragstack.store.connections import scalar
from ragstack.store.documents import BLOCK_CHARACTERS

NO_FILTER = Filter()


def _counts(filled: Filled) -> dict[str, int]:
    tables = ("documents", "chunks", "vectors", "chunk_search", "text_blocks", "document_structures")
    with filled.store.read() as snapshot:
        return {table: scalar(snapshot.connection, f"SELECT count(*) FROM {table}") for table in tables}


def test_a_document_is_stored_with_all_its_parts(filled: Filled) -> None:
    body = "first line\nsecond line\n"
    document_id = filled.put("a.txt", body, metadata={"author": "Ada"})
    with filled.store.read() as snapshot:
        stored = snapshot.document(document_id)
        chunks = snapshot.chunks(snapshot.chunk_ids(document_id))
        assert (stored.text, stored.metadata) == (body, {"author": "Ada"})
        assert [chunk.text for chunk in chunks.values()] == ["first line", "second line"]
    assert _counts(filled)["vectors"] == _counts(filled)["chunk_search"] == 2


def test_a_change_keeps_the_document_id_and_leaves_nothing_of_the_old_text(filled: Filled) -> None:
    document_id = filled.put("a.txt", "zebra\ngiraffe")
    assert filled.put("a.txt", "walrus", replaces=document_id) == document_id
    with filled.store.read() as snapshot:
        assert snapshot.lexical_candidates("zebra", 5, NO_FILTER) == []
        assert len(snapshot.lexical_candidates("walrus", 5, NO_FILTER)) == 1
    assert _counts(filled)["chunks"] == _counts(filled)["vectors"] == _counts(filled)["chunk_search"] == 1


def test_deleting_leaves_no_row_behind(filled: Filled) -> None:
    empty = _counts(filled)
    ids = [filled.put(f"{name}.txt", f"{name}\nmore of {name}") for name in ("a", "b", "c")]
    with filled.store.write() as writer:
        writer.remove_documents(ids)
    assert _counts(filled) == empty
    with filled.store.read() as snapshot, pytest.raises(NotInStoreError):
        snapshot.document_info(ids[0])


def test_a_chunk_id_is_never_given_out_again(filled: Filled) -> None:
    first = filled.put("a.txt", "one\ntwo")
    with filled.store.read() as snapshot:
        old = snapshot.chunk_ids(first)
    with filled.store.write() as writer:
        writer.remove_documents([first])
    second = filled.put("b.txt", "three")
    with filled.store.read() as snapshot:
        assert min(snapshot.chunk_ids(second)) > max(old)


def test_a_failed_commit_leaves_the_old_version_whole(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = filled.put("a.txt", "the good version")
    before = _counts(filled)

    def explode(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(fulltext, "insert_rows", explode)
    with pytest.raises(OSError, match="disk full"):
        filled.put("a.txt", "the new version\nwith more", replaces=document_id)
    assert _counts(filled) == before
    with filled.store.read() as snapshot:
        assert snapshot.document(document_id).text == "the good version"
        assert len(snapshot.lexical_candidates("good", 5, NO_FILTER)) == 1


def test_chunks_and_vectors_must_be_of_one_number(filled: Filled) -> None:
    incoming = filled.incoming("a.txt", "one\ntwo")
    with (
        filled.store.write() as writer,
        pytest.raises(ValueError, match="2 chunks but 1 vectors"),
        writer.engine.begin() as connection,
    ):
        documents.insert_chunks(
            connection,
            document_id=1,
            generation_id=filled.generation.id,
            title=None,
            chunks=incoming.chunks,
            vectors=unit_vectors(1, 0),
        )


def test_any_span_of_a_long_text_is_read_exactly(filled: Filled) -> None:
    body = "".join(f"line {number} 日本語 \U0001f600\n" for number in range(4_000))
    document_id = filled.put("long.txt", body)
    assert len(body) > 5 * BLOCK_CHARACTERS
    generator = np.random.default_rng(7)
    with filled.store.read() as snapshot:
        for _ in range(50):
            start, end = sorted(int(value) for value in generator.integers(0, len(body) + 1, 2))
            assert snapshot.read_text(document_id, start, end) == body[start:end]


def test_a_span_is_located_by_its_original_lines(filled: Filled) -> None:
    body = "".join(f"line {number}\n" for number in range(1, 3_001))
    document_id = filled.put("long.txt", body)
    with filled.store.read() as snapshot:
        for first, last in ((1, 1), (1_500, 1_502), (3_000, 3_000)):
            start, end = body.index(f"line {first}\n"), body.index(f"line {last}\n") + len(f"line {last}")
            location = snapshot.locate(document_id, start, end)
            assert (location.first_line, location.last_line) == (first, last)


def test_a_span_is_located_by_its_pages(filled: Filled) -> None:
    marks = (Landmark(0, "page", "1"), Landmark(10, "page", "2"), Landmark(20, "page", "3"))
    document_id = filled.put("a.pdf", "0123456789" * 3, landmarks=marks)
    with filled.store.read() as snapshot:
        assert str(snapshot.locate(document_id, 12, 15)) == "page 2, line 1"
        assert str(snapshot.locate(document_id, 5, 20)) == "pages 1-2, line 1"


def test_a_span_is_located_by_the_headings_that_enclose_it(filled: Filled) -> None:
    body = "# Guide\nintro\n## Setup\nplug it in\n### Network\ncable\n## Care\nwipe it\n"
    levels = {"Guide": 1, "Setup": 2, "Network": 3, "Care": 2}
    elements = tuple(
        Element(ElementKind.HEADING, body.index(f"# {title}"), body.index(title) + len(title), level, title)
        for title, level in levels.items()
    )
    document_id = filled.put("guide.md", body, elements=elements)
    with filled.store.read() as snapshot:
        for text_, path in (
            ("intro", ("Guide",)),
            ("plug it", ("Guide", "Setup")),
            ("cable", ("Guide", "Setup", "Network")),
            ("wipe", ("Guide", "Care")),
        ):
            at = body.index(text_)
            assert snapshot.locate(document_id, at, at + 3).headings == path


def test_equal_inputs_find_their_vectors_again(filled: Filled) -> None:
    incoming = filled.incoming("a.txt", "same text")
    filled.put("a.txt", "same text")
    from ragstack.store.integrity import input_hash

    digest = input_hash(incoming.chunks[0].embedding_text)
    with filled.store.write() as writer:
        known = writer.known_vectors(filled.generation, [digest, b"unknown"])
    assert list(known) == [digest]
    np.testing.assert_array_equal(known[digest], incoming.vectors[0])
