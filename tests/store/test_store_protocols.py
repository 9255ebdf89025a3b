"""What every store must do, asked of the SQLite and FAISS store and of an independent one in memory.

Everything goes through `RAGSystem` or the protocols, so that a further implementation is held to the same by
adding it to `STORES`.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from deterministic_embedder import DeterministicEmbedder
from dictionary_store import DictionaryStore
from released_store import pdf_of_pages

import ragstack
from ragstack.errors import EmbedderMismatchError, NotInStoreError, StoreError, UsageError
from ragstack.inspection.overview import chunk, document, overview
from ragstack.records import FileState, Filter
from ragstack.store.protocols import DocumentStore
from ragstack.store.store import Store
from ragstack.system import RAGSystem

STORES: dict[str, Callable[[Path], DocumentStore]] = {
    "SQLite and FAISS": Store.create,
    "dictionaries": DictionaryStore,
}

TEXTS = {
    "harbour.md": "---\nauthor: Ann\n---\n# Harbour\n\nThe lantern hangs above the quay.\n\n"
    "## Tides\n\nThe tide turns at noon, and the ferry leaves the jetty.\n",
    "orchard.txt": "Apples ripen late in the orchard.\nThe cider press stands by the barn.\n"
    "Perry is made of pears that nobody would eat.\nThe bees winter in the old wall by the gate.\n",
    "deep/summit.txt": "Snow covers the summit.\nA beacon burns on the ridge all night.\n",
}


@pytest.fixture
def embedder() -> DeterministicEmbedder:
    return DeterministicEmbedder(dimension=32)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    opened = STORES[request.param](tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def rag(store: DocumentStore, embedder: DeterministicEmbedder) -> RAGSystem:
    return RAGSystem.over(store, embedder=embedder, chunk_size=16, overlap=4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    for name, body in TEXTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(body)
    _age(root)
    return root


def _age(root: Path) -> None:
    for path in root.rglob("*.*"):
        os.utime(path, ns=(10**18, 10**18))


def _paths(rag: RAGSystem) -> list[str]:
    with rag.store.read() as session:
        return [info.path for info in session.documents()]


def _states(rag: RAGSystem, folder: Path, **options: bool) -> dict[str, FileState]:
    return {outcome.path: outcome.state for outcome in rag.ingest(folder, **options).outcomes}


# ---------------------------------------------------------------------- the whole flow


def test_what_is_ingested_is_found_with_its_place(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    [hit] = rag.retrieve("When does the tide turn for the ferry?", top_k=1)
    assert hit.chunk.path == "harbour.md"
    assert "tide turns at noon" in hit.text
    with rag.store.read() as session:
        location = session.locate(hit.chunk.document_id, hit.chunk.start, hit.chunk.end)
        assert session.read_text(hit.chunk.document_id, hit.chunk.start, hit.chunk.end) == hit.text
    assert location.headings == ("Harbour", "Tides")
    assert location.first_line == TEXTS["harbour.md"].count("\n", 0, hit.chunk.start) + 1


def test_landmarks_are_those_that_a_span_touches(rag: RAGSystem) -> None:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": f"Cell {each} here."} for each in "abcd"]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    rag.ingest_bytes(json.dumps(notebook).encode(), name="cells.ipynb")
    with rag.store.read() as session:
        [info] = session.documents()
        marks = session.document(info.document_id).landmarks
        assert len(marks) == len(cells)
        for start in range(info.characters):
            for end in range(start + 1, info.characters + 1):
                touched = session.landmarks(info.document_id, start, end)
                location = session.locate(info.document_id, start, end)
                assert [mark.label for mark in touched[:1]] == [location.first_landmark]
                assert [mark.label for mark in touched[-1:]] == [location.last_landmark]
                assert list(touched[1:]) == [mark for mark in marks if start < mark.start < end]


def test_a_question_is_answered_with_citations(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    answer = rag.ask("Where does the cider press stand?")
    assert answer.found
    assert answer.citations[0].passage.path == "orchard.txt"


def test_the_dense_side_finds_what_comparing_with_every_vector_finds(
    rag: RAGSystem, folder: Path, embedder: DeterministicEmbedder
) -> None:
    rag.ingest(folder)
    vector = embedder.embed_query("beacon on the ridge")
    with rag.store.read() as session:
        ids = [i for info in session.documents() for i in session.chunk_ids(info.document_id)]
        scores = session.cosines(vector, ids)
        found = session.dense_candidates(vector, 3, Filter())
    expected = sorted(scores, key=lambda i: (-scores[i], i))[:3]
    assert [one.chunk_id for one in found] == expected
    np.testing.assert_allclose([one.score for one in found], [scores[i] for i in expected], atol=1e-6)
    assert [one.rank for one in found] == [1, 2, 3]


def test_every_chunk_is_an_exact_slice_of_its_document(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    with rag.store.read() as session:
        for info in session.documents():
            held = session.chunks(session.chunk_ids(info.document_id)).values()
            assert [each.position for each in held] == list(range(info.chunks))
            whole = session.document(info.document_id).text
            assert whole == TEXTS[info.path]
            assert all(each.text == whole[each.start : each.end] for each in held)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Filter(paths=("deep/*",)), {"deep/summit.txt"}),
        (Filter(media_types=("markdown",)), {"harbour.md"}),
        (Filter(metadata=(("author", "Ann"),)), {"harbour.md"}),
        (Filter(metadata=(("author", "Eve"),)), set()),
    ],
)
def test_a_filter_holds_for_both_kinds_of_search(
    rag: RAGSystem, folder: Path, embedder: DeterministicEmbedder, where: Filter, expected: set[str]
) -> None:
    rag.ingest(folder)
    question = "lantern cider beacon"
    with rag.store.read() as session:
        dense = session.dense_candidates(embedder.embed_query(question), 50, where)
        lexical = session.lexical_candidates(question, 50, where)
        for found in (dense, lexical):
            assert {each.path for each in session.chunks(one.chunk_id for one in found).values()} == expected


def test_documents_are_selected_and_read_without_a_search(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    with rag.store.read() as session:
        selected = session.selected_documents(Filter(media_types=("plain",)))
        assert [each.path for each in selected] == ["deep/summit.txt", "orchard.txt"]
        assert [each.characters for each in selected] == [len(TEXTS[each.path]) for each in selected]
        [markdown] = session.selected_documents(Filter(media_types=("markdown",)))
        headings = [each.title for each in session.elements(markdown.document_id) if each.level]
        assert headings == ["Harbour", "Tides"]


def test_stored_vectors_are_those_of_the_embedder(
    rag: RAGSystem, folder: Path, embedder: DeterministicEmbedder
) -> None:
    rag.ingest(folder)
    with rag.store.read() as session:
        ids = [i for info in session.documents() for i in session.chunk_ids(info.document_id)]
        held = session.vectors([*ids, 10**9])
    made = embedder.embed_documents(list(embedder.embedded_texts))
    assert list(held) == sorted(ids)
    for vector in held.values():
        assert (made == vector).all(axis=1).any()


# ------------------------------------------------------------------ the folder as truth


def test_an_unchanged_folder_is_not_read_again(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    report = rag.ingest(folder)
    assert (report.unchanged, report.outcomes, report.embedded) == (3, (), 0)


def test_new_changed_renamed_and_removed_files_are_told_apart(
    rag: RAGSystem, folder: Path, embedder: DeterministicEmbedder
) -> None:
    rag.ingest(folder)
    (folder / "new.txt").write_text("A new page.")
    (folder / "harbour.md").write_text(TEXTS["harbour.md"] + "\nA storm comes.\n")
    (folder / "orchard.txt").rename(folder / "garden.txt")
    (folder / "deep" / "summit.txt").unlink()
    expected = {
        "new.txt": FileState.NEW,
        "harbour.md": FileState.CHANGED,
        "garden.txt": FileState.RENAMED,
        "deep/summit.txt": FileState.REMOVED,
    }
    assert _states(rag, folder, dry_run=True) == expected
    assert _paths(rag) == sorted(TEXTS)
    embedded = len(embedder.embedded_texts)
    assert _states(rag, folder) == expected
    assert _paths(rag) == ["garden.txt", "harbour.md", "new.txt"]
    renamed_is_new = [text for text in embedder.embedded_texts[embedded:] if "cider" in text]
    assert not renamed_is_new or all("garden" in text for text in renamed_is_new)


def test_a_removed_document_is_found_no_more_and_comes_back_with_its_folder(
    rag: RAGSystem, folder: Path
) -> None:
    rag.ingest(folder)
    first = rag.remove_document("orchard.txt")
    assert all(hit.chunk.path != "orchard.txt" for hit in rag.retrieve("cider press", top_k=20))
    with rag.store.read() as session, pytest.raises(NotInStoreError):
        session.document_info(first)
    assert _states(rag, folder) == {"orchard.txt": FileState.NEW}
    again = rag.retrieve("cider press", top_k=1)[0].chunk
    assert again.path == "orchard.txt"
    assert again.document_id != first


def test_a_file_that_cannot_be_read_keeps_its_last_good_version(rag: RAGSystem, folder: Path) -> None:
    (folder / "sails.pdf").write_bytes(pdf_of_pages("The first page is about sails."))
    rag.ingest(folder)
    (folder / "sails.pdf").write_bytes(b"%PDF-1.4 and nothing more")
    report = rag.ingest(folder)
    assert [outcome.path for outcome in report.failed] == ["sails.pdf"]
    assert rag.retrieve("page about sails", top_k=1)[0].chunk.path == "sails.pdf"
    with rag.store.read() as session:
        assert [info.path for info in session.documents() if info.stale_reason] == ["sails.pdf"]
        assert [failure.path for failure in session.failures()] == ["sails.pdf"]
    (folder / "sails.pdf").write_bytes(pdf_of_pages("The page is about anchors now."))
    rag.ingest(folder)
    with rag.store.read() as session:
        assert session.failures() == []
        assert not any(info.stale_reason for info in session.documents())


def test_a_folder_around_another_takes_its_documents_over(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder / "deep")
    report = rag.ingest(folder)
    assert report.unchanged == 1
    assert _paths(rag) == sorted(TEXTS)
    assert [source.root for source in rag.sources()] == [folder.as_posix()]


def test_a_source_is_relocated_and_removed(rag: RAGSystem, folder: Path, tmp_path: Path) -> None:
    rag.ingest(folder)
    folder.rename(tmp_path / "moved")
    rag.relocate_source(folder, tmp_path / "moved")
    assert rag.ingest(tmp_path / "moved").unchanged == 3
    assert rag.remove_source(tmp_path / "moved") == 3
    assert _paths(rag) == []
    with pytest.raises(NotInStoreError):
        rag.remove_source(folder)


def test_a_text_replaces_what_had_its_name_and_keeps_its_id(rag: RAGSystem) -> None:
    first = rag.add_document("The gate opens at six.", name="gate")
    assert rag.add_document("The gate opens at seven.", name="gate") == first
    assert "seven" in rag.retrieve("When does the gate open?", top_k=1)[0].text
    assert rag.remove_texts() == 1


# ------------------------------------------------------------ generations and sessions


def test_a_reembedding_keeps_the_documents_and_changes_the_chunks(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    before, paths = overview(rag).chunks, _paths(rag)
    other = DeterministicEmbedder(dimension=48, seed=5)
    assert rag.reembed(embedder=other, chunk_size=32, overlap=8) == 3
    assert rag.generation is not None
    assert (rag.generation.fingerprint.dimension, rag.generation.settings.size) == (48, 32)
    assert overview(rag).chunks < before
    assert _paths(rag) == paths
    assert rag.retrieve("cider press", top_k=1)[0].chunk.path == "orchard.txt"
    assert rag.verify(share=1.0).is_clean


def test_another_embedder_is_refused(rag: RAGSystem, store: DocumentStore) -> None:
    rag.add_document("The gate opens at six.", name="gate")
    other = RAGSystem.over(store, embedder=DeterministicEmbedder(dimension=32, seed=9))
    for attempt in (lambda: other.retrieve("gate"), lambda: other.add_document("More.", name="more")):
        with pytest.raises(EmbedderMismatchError):
            attempt()


def test_a_session_keeps_seeing_the_state_that_it_began_with(rag: RAGSystem) -> None:
    rag.add_document("The gate opens at six.", name="gate")
    with rag.store.read() as session:
        rag.add_document("The lantern is lit.", name="lantern")
        assert [info.path for info in session.documents()] == ["gate"]
    assert _paths(rag) == ["gate", "lantern"]


def test_vectors_are_lent_only_within_their_generation(rag: RAGSystem, folder: Path) -> None:
    from ragstack.store.integrity import input_hash

    rag.ingest(folder)
    with rag.store.read() as session:
        generation = session.generation()
        assert generation is not None
    with rag.store.write() as writer:
        digest = input_hash("never embedded")
        assert writer.known_vectors(generation, [digest]) == {}
        building = writer.begin_generation(
            DeterministicEmbedder(dimension=24).fingerprint, replace(generation.settings), generation.probe
        )
        assert len(writer.documents_without_chunks(building)) == 3
        again = writer.begin_generation(building.fingerprint, building.settings, generation.probe)
    assert again.id == building.id


def test_what_people_look_at_is_there(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    seen = overview(rag)
    assert (seen.documents, len(seen.sources)) == (3, 1)
    assert seen.chunks == seen.indexed + seen.tail
    assert seen.last_run is not None
    assert seen.last_run.summary["new"] == 3
    view = document(rag, rag.retrieve("cider", top_k=1)[0].chunk.document_id)
    assert view.text == TEXTS["orchard.txt"]
    middle = chunk(rag, view.chunks[0].chunk_id)
    assert middle.previous is None


def test_upkeep_finds_a_good_store_whole(rag: RAGSystem, folder: Path, tmp_path: Path) -> None:
    rag.ingest(folder)
    rag.remove_document("orchard.txt")
    rag.purge()
    found = rag.verify(share=1.0)
    assert (found.problems, found.documents) == ((), 2)
    assert rag.repair(apply=True)[1:] == ([], None)
    try:
        saved = rag.backup(tmp_path / "saved")
    except StoreError as error:
        assert error.hint  # noqa: PT017 - a store may have nothing to copy, if it says what to do
    else:
        with RAGSystem.restore(saved, tmp_path / "restored") as restored:
            assert _paths(restored) == _paths(rag)


def test_relocating_onto_another_source_is_refused(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder / "deep")
    other = folder.parent / "other"
    other.mkdir()
    (other / "one.txt").write_text("One.")
    rag.ingest(other)
    with pytest.raises(UsageError, match="overlaps"):
        rag.relocate_source(other, folder / "deep")


# ---------------------------------------------------------------------------- the seam

CONCRETE = {
    f"ragstack.store.{name}"
    for name in "store snapshot writer index segments vectors models fulltext filters database".split()
}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found


@pytest.mark.parametrize(
    "stage", ["retrieval", "context", "answering", "strategies", "ingestion", "evaluation", "cli"]
)
def test_a_stage_knows_the_store_by_its_protocols_only(stage: str) -> None:
    """Type annotations count: they are what mypy holds the stage to."""
    for path in (Path(ragstack.__file__).parent / stage).rglob("*.py"):
        imported = _imports(path)
        assert not imported & CONCRETE, path
        assert not any(name.split(".")[0] in ("sqlalchemy", "faiss") for name in imported), path


def test_the_system_names_the_concrete_store_only_where_it_opens_one() -> None:
    source = (Path(ragstack.__file__).parent / "system.py").read_text(encoding="utf-8")
    assert source.count("from ragstack.store.store import Store") == 2
    assert not _imports(Path(ragstack.__file__).parent / "system.py") & (CONCRETE - {"ragstack.store.store"})
