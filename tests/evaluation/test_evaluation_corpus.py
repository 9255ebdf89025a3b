"""Documents of a data set in a store: ingested once, found again by name, gold checked."""

import pytest
from evaluation_data import QUESTIONS, span_of

from ragstack.errors import StoreError, UsageError
from ragstack.evaluation.datasets import load_dataset


def test_hits_are_spans_of_the_documents_of_the_data_set(span_folder, indexed):
    with indexed(load_dataset(span_folder())) as corpus:
        best = corpus.system.retrieve("ships longer than ninety metres", 1)[0]

        found = corpus.span(best)
        assert found.document == "harbour.txt"
        assert "Ships longer than ninety" in corpus.text("harbour.txt")[found.start : found.end]
        assert corpus.name(best) == "harbour.txt"


def test_a_cached_store_embeds_nothing_the_second_time(span_folder, indexed, embedder):
    dataset = load_dataset(span_folder())
    with indexed(dataset) as corpus:
        chunks = corpus.chunks
        assert corpus.report.embedded == chunks > 0
    embedder.embedded_texts.clear()

    with indexed(dataset) as corpus:
        assert corpus.chunks == chunks
        assert corpus.report.embedded == 0
    assert len(embedder.embedded_texts) < chunks


def test_other_chunk_sizes_have_stores_of_their_own(span_folder, indexed, tmp_path):
    dataset = load_dataset(span_folder())
    with indexed(dataset, chunk_size=64) as corpus:
        few = corpus.chunks
    with indexed(dataset, chunk_size=16) as corpus:
        assert corpus.chunks > few
        assert corpus.settings.size == 16

    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_without_a_cache_nothing_is_left_behind(span_folder, indexed):
    with indexed(load_dataset(span_folder()), cache=None) as corpus:
        store = corpus.system.path
        assert store.is_dir()

    assert not store.exists()


def test_a_changed_data_set_is_brought_up_to_date_in_its_cache(span_folder, indexed):
    with indexed(load_dataset(span_folder())):
        pass
    folder = span_folder(questions=QUESTIONS[:1], documents={"added.txt": "A new page about kelp.\n"})
    (folder / "documents" / "kitchen.md").unlink()

    with indexed(load_dataset(folder)) as corpus:
        assert set(corpus.document_ids) == {"harbour.txt", "added.txt"}


def test_evidence_beyond_the_end_of_its_document_is_refused(span_folder, indexed):
    question = {
        "id": "1",
        "question": "Why?",
        "evidence": [{"document": "harbour.txt", "start": 5, "end": 9999}],
    }

    with (
        pytest.raises(UsageError, match=r"question '1' .*evidence ends at 9999"),
        indexed(load_dataset(span_folder(questions=[question]))),
    ):
        pytest.fail("the gold lies outside the text")


def test_evidence_whose_quote_is_another_text_is_refused(span_folder, indexed):
    moved = {**span_of("harbour.txt", "tide tables"), "start": 3, "end": 10}

    with (
        pytest.raises(UsageError, match="another text than the quote at 3 to 10"),
        indexed(load_dataset(span_folder(questions=[{"id": "1", "question": "Why?", "evidence": [moved]}]))),
    ):
        pytest.fail("the gold has moved")


def test_evidence_in_a_document_that_ingest_skips_is_refused(span_folder, indexed):
    folder = span_folder(documents={".hidden.txt": "Nobody sees this.\n"}, questions=[])
    evidence = {"document": ".hidden.txt", "start": 0, "end": 6}
    span_folder(questions=[{"id": "1", "question": "Why?", "evidence": [evidence]}])

    with (
        pytest.raises(UsageError, match=r"`.hidden.txt` was not ingested"),
        indexed(load_dataset(folder)),
    ):
        pytest.fail("the document is not in the store")


def test_a_document_that_cannot_be_read_stops_the_evaluation(span_folder, indexed):
    folder = span_folder()
    (folder / "documents" / "broken.pdf").write_bytes(b"not a PDF at all")

    with (
        pytest.raises(StoreError, match=r"1 documents failed, first `broken.pdf`"),
        indexed(load_dataset(folder)),
    ):
        pytest.fail("a document is missing from the store")


def test_documents_of_a_beir_corpus_map_back_to_their_ids(beir_folder, indexed):
    with indexed(load_dataset(beir_folder())) as corpus:
        hits = corpus.system.retrieve("what does the moon pull", 10)

        assert corpus.name(hits[0]) == "MED/10"
        assert {corpus.name(hit) for hit in hits} == {"MED/10", "a:b", "7"}
        assert hits[0].chunk.title == "Tides"


def test_a_beir_corpus_is_written_out_once_and_anew_when_it_changes(beir_folder, indexed, tmp_path):
    with indexed(load_dataset(beir_folder())):
        pass
    written = sorted((tmp_path / "cache" / "beir-documents").iterdir())
    before = [path.stat().st_mtime_ns for path in written]

    with indexed(load_dataset(beir_folder())) as corpus:
        assert [path.stat().st_mtime_ns for path in written] == before
        assert corpus.report.embedded == 0

    folder = beir_folder(corpus=[{"_id": "MED/10", "title": "Tides", "text": "The sun pulls as well."}])
    with indexed(load_dataset(folder)) as corpus:
        assert [corpus.text(path) for path in corpus.document_ids] == ["# Tides\n\nThe sun pulls as well."]
