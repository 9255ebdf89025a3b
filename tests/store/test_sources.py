from __future__ import annotations

import pytest
from store_fixtures import Filled

from ragstack.errors import NotInStoreError, UsageError
from ragstack.records import FileStat
from ragstack.store import catalog
from ragstack.store.sources import FILES, FOLDER, KnownFailure, Place, known_files, place_of


def _place(filled: Filled, path: str, *, is_folder: bool = True) -> Place:
    with filled.store.read() as snapshot:
        return place_of(snapshot.connection, path, is_folder=is_folder)


def test_a_folder_inside_a_known_root_belongs_to_it(filled: Filled) -> None:
    assert _place(filled, "/library/notes") == Place(filled.source_id, FOLDER, "/library", "notes")
    assert _place(filled, "/library/a.txt", is_folder=False).prefix == "a.txt"


def test_a_root_is_not_a_mere_beginning_of_a_name(filled: Filled) -> None:
    assert _place(filled, "/library2").source_id is None


def test_a_folder_around_known_roots_absorbs_them(filled: Filled) -> None:
    filled.put("a.txt", "alpha")
    with filled.store.write() as writer:
        writer.record_failure(
            filled.source_id, KnownFailure("bad.pdf", "broken", FileStat(1, 1, 1, 1), "", 0)
        )
        files = writer.ensure_source(Place(None, FILES, "/home/other", "b.txt"))
        outer = writer.ensure_source(Place(None, FOLDER, "/", ""))
    with filled.store.read() as snapshot:
        assert set(known_files(snapshot.connection, outer, "")) == {"library/a.txt"}
        assert [source.root for source in catalog.sources(snapshot.connection)] == ["/"]
        assert [failure.path for failure in catalog.failures(snapshot.connection)] == ["library/bad.pdf"]
    assert files != outer


def test_files_named_one_by_one_do_not_claim_their_folder(filled: Filled) -> None:
    with filled.store.write() as writer:
        writer.ensure_source(_place(filled, "/home/a.txt", is_folder=False))
    assert _place(filled, "/home/sub") == Place(None, FOLDER, "/home/sub", "")


def test_a_relocated_source_keeps_its_documents(filled: Filled) -> None:
    document_id = filled.put("a.txt", "alpha")
    with filled.store.write() as writer:
        writer.relocate_source("/library", "/mnt/new")
    with filled.store.read() as snapshot:
        assert snapshot.document_info(document_id).root == "/mnt/new"


def test_a_source_cannot_be_relocated_into_another(filled: Filled) -> None:
    with filled.store.write() as writer:
        writer.ensure_source(Place(None, FOLDER, "/mnt", ""))
        with pytest.raises(UsageError, match="overlaps"):
            writer.relocate_source("/library", "/mnt/new")


def test_a_removed_source_takes_its_documents_along(filled: Filled) -> None:
    filled.put("a.txt", "alpha")
    filled.put("b.txt", "beta")
    with filled.store.write() as writer:
        assert writer.remove_source("/library") == 2
        with pytest.raises(NotInStoreError, match="no source"):
            writer.remove_source("/library")
    with filled.store.read() as snapshot:
        assert snapshot.documents() == []


def test_a_failed_file_marks_its_last_good_version_stale_until_it_is_read_again(filled: Filled) -> None:
    document_id = filled.put("a.txt", "alpha")
    with filled.store.write() as writer:
        writer.record_failure(filled.source_id, KnownFailure("a.txt", "broken", FileStat(1, 1, 1, 1), "", 0))
    with filled.store.read() as snapshot:
        assert snapshot.document_info(document_id).stale_reason == "broken"
        assert len(catalog.failures(snapshot.connection)) == 1
    filled.put("a.txt", "alpha", replaces=document_id)
    with filled.store.read() as snapshot:
        assert snapshot.document_info(document_id).stale_reason is None
        assert catalog.failures(snapshot.connection) == []
