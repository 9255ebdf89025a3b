"""Files of every format are stored, found by a question, and cited by places that people understand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sample_files
from deterministic_embedder import DeterministicEmbedder
from sample_files import SAMPLES

from ragstack import RAGSystem
from ragstack.loading.selection import Selection
from ragstack.records import Filter

FORMATS = Path(__file__).parents[3] / "shared" / "datasets" / "formats"


def line_of(source, line):
    return f"line {source.split(chr(10)).index(line) + 1}"


QUESTIONS = {
    "ferry.docx": ("what does a bicycle cost", "A bicycle costs two crowns.", "page 2", ("Fares",)),
    "works.pptx": ("which crane 2 is moved", "Crane 2 is moved.", "slide 2", ("Stage 2",)),
    "stock.xlsx": ("how many metres of steel", "Kind: Steel | Metres: 30", "row Ropes!5", ("Ropes",)),
    "tides.ipynb": ("print height gauge", "height = gauge()", "cell 2", ("Tides",)),
    "harbour.py": (
        "free berths",
        "return 12",
        line_of(sample_files.PYTHON, "        return 12"),
        ("class Harbour", "def berths"),
    ),
    "charts.rst": (
        "green starboard buoys",
        "Green to starboard.",
        line_of(sample_files.RST, "Green to starboard."),
        ("Charts", "Buoys"),
    ),
    "knots.tex": (
        "unequal ropes knot",
        "Use it for unequal ropes.",
        line_of(sample_files.LATEX, "Use it for unequal ropes."),
        ("Bends", "Sheet bend"),
    ),
    "crossing.srt": ("mind the step", "Mind the step.", "time 00:01:10", ()),
    "light.epub": ("keeper counts 2 gulls", "The keeper counts 2 gulls.", "part 2", ("Chapter 2",)),
    "stock.csv": ("hemp metres", "Kind: Hemp | Metres: 120", "row 2", ()),
    "note.txt": ("boats wait", "Boats wait for it.", "line 3", ()),
}


@pytest.fixture(scope="module")
def rag(tmp_path_factory) -> Iterator[RAGSystem]:
    root = tmp_path_factory.mktemp("formats")
    (root / "files").mkdir()
    for name, make in SAMPLES.items():
        (root / "files" / name).write_bytes(make())
    embedder = DeterministicEmbedder()
    with RAGSystem.open(root / "store", embedder=embedder, chunk_size=24, overlap=4) as system:
        report = system.ingest(root / "files")
        assert report.failed == ()
        assert len(report.outcomes) == len(SAMPLES)
        yield system


def place(rag, name, phrase):
    """Where the store says that a phrase of a document is, and under which headings."""
    with rag.store.read() as snapshot:
        [info] = [info for info in snapshot.documents() if info.path == name]
        text = snapshot.document(info.document_id).text
        start = text.index(phrase)
        location = snapshot.locate(info.document_id, start, start + len(phrase))
        assert snapshot.read_text(info.document_id, start, start + len(phrase)) == phrase
        return str(location), location.headings


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_phrase_is_cited_at_its_place_in_the_original(rag, name):
    _, phrase, where, headings = QUESTIONS[name]
    assert place(rag, name, phrase) == (where, headings)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_text_of_every_format_is_found_by_a_question_about_it(rag, name):
    question, phrase, _, _ = QUESTIONS[name]
    hits = rag.retrieve(question, top_k=3, where=Filter(paths=(name,)))
    assert any(phrase.split()[-1] in hit.text for hit in hits)


def test_lines_of_source_code_are_those_of_the_file(rag):
    lines = sample_files.PYTHON.split("\n")
    assert lines[11].strip() == "return 12"
    assert (
        place(rag, "harbour.py", "return length * 3")[0] == f"line {lines.index('    return length * 3') + 1}"
    )


def test_rows_of_one_sheet_are_a_range_that_names_the_sheet_once(rag):
    where, _ = place(rag, "stock.xlsx", "Kind: Nylon | Metres: 75.5\nKind: Steel")
    assert where == "rows Ropes!3-5"


def test_documents_are_filtered_by_their_metadata(rag):
    where = Filter(metadata=(("author", "Ada Ferrier"),))
    paths = {hit.chunk.path for hit in rag.retrieve("crowns boats gulls metres", top_k=50, where=where)}
    assert {"ferry.docx", "light.epub"} <= paths
    assert "note.txt" not in paths


REAL_QUESTIONS = {
    "test.docx": "which framework lets developers build LLM applications with multiple agents that converse",
    "equations.docx": "From Eq. 36.1.3 the angle",
    "rlink.docx": "testing linked images",
    "test_with_comment.docx": "55yiyi-asd09 yet another comment in the doc",
    "test.pptx": "nested shape parsing",
    "test.xlsx": "Alpha Beta Gamma Delta",
    "test.xls": "Alpha Beta Gamma Delta",
    "test.epub": "blockquote for testing second chapter",
    "test.json": "uuid_value 9700dc99",
    "test_mskanji.csv": "\u4f50\u85e4\u592a\u90ce",
    "test_notebook.ipynb": "markitdown test notebook",
    "test_outlook_msg.msg": "body of the test email message",
    "test_rss.xml": "Official Microsoft Blog feed",
    "test_blog.html": "large language model hyperparameter tuning",
    "test_wikipedia.html": "Microsoft founded Bill Gates Paul Allen",
    "test_serp.html": "Microsoft Wikipedia search results",
    "test.pdf": "large language models agents conversation",
    "movie-theater-booking-2024.pdf": "movie theater booking",
    "RECEIPT-2024-TXN-98765_retail_purchase.pdf": "receipt retail purchase transaction",
    "REPAIR-2022-INV-001_multipage.pdf": "repair invoice parts labour",
    "SPARSE-2024-INV-1234_borderless_table.pdf": "inventory sparse product code",
    "masterformat_partial_numbering.pdf": "masterformat numbering",
}


@pytest.mark.skipif(not FORMATS.is_dir(), reason="the shared data sets are not there")
def test_every_real_file_is_found_by_a_question_or_refused_with_a_reason(tmp_path):
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder()) as system:
        report = system.ingest(FORMATS, selection=Selection(exclude=("expected_outputs/",)))
        assert {outcome.path: outcome.reason for outcome in report.failed} == {
            "MEDRPT-2024-PAT-3847_medical_report_scan.pdf": "no text found: scanned pages need OCR"
        }
        skipped = dict(report.skipped)
        assert skipped["test.jpg"] == skipped["test_llm.jpg"] == "no reader for .jpg files"
        files = {path.name for path in FORMATS.iterdir() if path.is_file()}
        assert files == set(REAL_QUESTIONS) | set(skipped) & files | {each.path for each in report.failed}
        for name, question in REAL_QUESTIONS.items():
            found = [hit.chunk.path for hit in system.retrieve(question, top_k=10)]
            assert name in found, f"{name} is not found by {question!r}: {found}"
