"""Reading a store without searching it: what a filter selects, the structure, and bounded memory."""

from __future__ import annotations

from ragstack.records import Element, ElementKind, Filter
from ragstack.store import snapshot as snapshots


def test_documents_are_listed_by_path_with_what_reading_needs(filled):
    second = filled.put("b.txt", "two lines\nof text")
    first = filled.put("a.txt", "one")
    with filled.store.read() as snapshot:
        found = snapshot.selected_documents(Filter())
    assert [(each.document_id, each.path, each.characters) for each in found] == [
        (first, "a.txt", 3),
        (second, "b.txt", 17),
    ]
    assert found[0].title == "Title"
    assert found[0].content_hash == "hash of one"


def test_a_filter_selects_as_it_does_for_a_search(filled):
    filled.put("notes/a.md", "one", media_type="text/markdown")
    filled.put("notes/b.txt", "two", metadata={"author": "Ada"})
    filled.put("c.txt", "three")
    with filled.store.read() as snapshot:

        def paths(**conditions):
            return [each.path for each in snapshot.selected_documents(Filter(**conditions))]

        assert paths(paths=("notes/**",)) == ["notes/a.md", "notes/b.txt"]
        assert paths(media_types=("markdown",)) == ["notes/a.md"]
        assert paths(metadata=(("author", "Ada"),)) == ["notes/b.txt"]
        assert paths(paths=("nowhere/**",)) == []


def test_elements_are_those_that_were_stored(filled):
    heading = Element(ElementKind.HEADING, 0, 3, 1, "One")
    document_id = filled.put("a.md", "One\ntext", elements=(heading,))
    with filled.store.read() as snapshot:
        assert snapshot.elements(document_id) == (heading,)


def test_what_is_remembered_of_documents_is_bounded(filled, monkeypatch):
    monkeypatch.setattr(snapshots, "REMEMBERED_DOCUMENTS", 3)
    ids = [filled.put(f"{number}.txt", f"text {number}") for number in range(8)]
    with filled.store.read() as snapshot:
        for document_id in ids * 2:
            snapshot.locate(document_id, 0, 4)
            assert len(snapshot.memory.structures) <= 3
            assert len(snapshot.memory.documents) <= 3


def test_what_is_remembered_of_chunks_is_bounded_and_all_are_found_all_the_same(filled, monkeypatch):
    monkeypatch.setattr(snapshots, "REMEMBERED_CHUNKS", 5)
    for number in range(8):
        filled.put(f"{number}.txt", f"text {number}\nmore of {number}")
    with filled.store.read() as snapshot:
        ids = [
            chunk_id
            for document in snapshot.documents()
            for chunk_id in snapshot.chunk_ids(document.document_id)
        ]
        for start in range(0, 16, 2):
            assert list(snapshot.chunks(ids[start : start + 2])) == ids[start : start + 2]
            assert len(snapshot.memory.chunks) <= 5
        assert list(snapshot.chunks([*ids, max(ids) + 1])) == ids
        assert list(snapshot.chunks(ids[::-3])) == ids[::-3]


def test_readers_of_one_state_share_what_they_read_and_a_later_one_reads_anew(filled):
    document_id = filled.put("a.txt", "the first text")
    with filled.store.read() as snapshot:
        (first,) = snapshot.chunks(snapshot.chunk_ids(document_id)).values()
    with filled.store.read() as older:
        assert older.chunks([first.chunk_id])[first.chunk_id] is first
        replaced = filled.put("a.txt", "the second text", replaces=document_id)
        with filled.store.read() as newer:
            assert [chunk.text for chunk in newer.chunks(newer.chunk_ids(replaced)).values()] == [
                "the second text"
            ]
            assert newer.chunks([first.chunk_id]) == {}
        assert older.chunks([first.chunk_id])[first.chunk_id].text == "the first text"
    with filled.store.read() as later:
        assert later.chunks([first.chunk_id]) == {}
