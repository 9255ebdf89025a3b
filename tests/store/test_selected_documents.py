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
            assert len(snapshot._structures) <= 3
            assert len(snapshot._documents) <= 3
