import dataclasses
import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_files import SAMPLES as OF_EVERY_FORMAT

from ragstack.errors import LoadingError
from ragstack.loading import readers
from ragstack.loading.guard import GuardedReaders
from ragstack.loading.readers import READERS, document_of, extract, find_reader, reader_for, text

FORMATS = Path(__file__).parents[3] / "shared" / "datasets" / "formats"
EXPECTED = sorted((FORMATS / "expected_outputs").glob("*.md"))
needs_formats = pytest.mark.skipif(not FORMATS.is_dir(), reason="the shared data sets are not there")


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("a.txt", "text"),
        ("a.text", "text"),
        ("A.LOG", "text"),
        ("notes/b.md", "markdown"),
        ("b.Markdown", "markdown"),
        ("c.d/e.html", "html"),
        ("e.htm", "html"),
        ("e.xhtml", "html"),
        ("x.tar.pdf", "pdf"),
    ],
)
def test_a_reader_is_found_by_the_ending_of_the_name(name, reader):
    assert reader_for(name).name == reader


@pytest.mark.parametrize("name", ["a.png", "README", ".md", "dir.md/file", "a.md/", "", "a.", "a.\u202etxt"])
def test_a_name_without_a_known_ending_has_no_reader(name):
    assert find_reader(name) is None
    with pytest.raises(LoadingError, match="no reader for") as caught:
        extract(b"words", name)
    assert ".pdf" in caught.value.hint
    assert caught.value.message.isascii()


def test_no_two_readers_share_a_name_or_an_ending():
    names = [reader.name for reader in READERS]
    suffixes = [suffix for reader in READERS for suffix in reader.suffixes]
    assert len(names) == len(set(names))
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_documents_name_their_reader(reader, make_pdf, run):
    samples = {Path(name).suffix: make for name, make in OF_EVERY_FORMAT.items()}
    suffix = next(suffix for suffix in reader.suffixes if suffix in samples or suffix == ".pdf")
    data = make_pdf([[run("words")]]) if reader.name == "pdf" else samples[suffix]()
    document = extract(data, f"a{suffix}")
    assert (document.reader, document.reader_version) == (reader.name, reader.version)
    assert document.media_type == reader.media_type


def test_readers_and_documents_can_go_to_another_process():
    for reader in READERS:
        assert pickle.loads(pickle.dumps(reader)) == reader
    document = extract(b"---\ntitle: x\n---\n# A", "a.md")
    assert pickle.loads(pickle.dumps(document)) == document


def test_what_a_library_raises_becomes_a_reason_of_one_line(monkeypatch):
    def broken(data, name, limits):
        raise RuntimeError("first line\nsecond line")

    reader = dataclasses.replace(text.READER, extract=broken)
    monkeypatch.setitem(readers._BY_SUFFIX, ".txt", reader)
    with pytest.raises(LoadingError, match=r"^the text reader failed: first line$"):
        extract(b"words", "a.txt")


def test_text_without_a_file_is_read_as_its_name_suggests():
    assert document_of("# A\r\n", "a.md").title == "A"
    assert document_of("<h1>A</h1>", "a.html").text == "A"
    for name in ("", "a.txt", "a.pdf", "a.unknown"):
        document = document_of("# A\r\nb\0\ud800", name)
        assert (document.text, document.media_type) == ("# A\nb\ufffd\ufffd", "text/plain")


def test_text_without_a_file_is_never_taken_for_another_format():
    assert document_of("%PDF-1.4 is how a PDF begins").text == "%PDF-1.4 is how a PDF begins"


@settings(deadline=None)
@given(
    data=st.binary(max_size=300),
    name=st.sampled_from([f"a{suffix}" for reader in READERS for suffix in reader.suffixes[:3]]),
)
def test_any_bytes_give_a_sound_document_or_a_reason(check, data, name):
    try:
        document = extract(data, name)
    except LoadingError as error:
        assert error.message.count("\n") == 0  # noqa: PT017 - not every input is refused
    else:
        check(document)


def test_importing_the_stage_loads_no_library():
    libraries = [
        "pypdfium2",
        "selectolax",
        "markdown_it",
        "charset_normalizer",
        "pathspec",
        "mammoth",
        "pptx",
        "lxml",
        "python_calamine",
        "openpyxl",
        "striprtf",
        "oxmsg",
        "numpy",
        "sqlalchemy",
    ]
    code = (
        "import sys, ragstack.loading.readers, ragstack.loading.walk, ragstack.loading.files\n"
        f"sys.exit(', '.join(name for name in {libraries} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


SAMPLES = sorted((Path(__file__).parents[2] / "data" / "documents").rglob("*.*"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_every_sample_document_is_read_with_structure(check, path):
    document = extract(path.read_bytes(), path.name)
    check(document)
    assert len(document.elements) > 3
    if path.suffix != ".txt":
        assert document.title
        assert any(element.level for element in document.elements)


def words(content):
    return Counter(re.findall(r"\w+", content.lower()))


@needs_formats
@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.stem)
def test_real_pdf_files_have_the_expected_words_or_are_refused_as_scans(check, path):
    expected = words(path.read_text())
    data = (FORMATS / f"{path.stem}.pdf").read_bytes()
    if not expected:
        with pytest.raises(LoadingError, match="scanned pages need OCR"):
            extract(data, "a.pdf")
        return
    document = extract(data, "a.pdf")
    check(document)
    recall = (expected & words(document.text)).total() / expected.total()
    sys.stdout.write(f"{path.stem}.pdf: token recall {recall:.4f} of {expected.total()}\n")
    assert recall >= 0.95


REFUSED = {".jpg": "no reader for .jpg files", "": "no reader for files without an ending"}
EMPTY = {path.stem for path in EXPECTED if not path.read_text().strip()}


@needs_formats
@pytest.mark.parametrize(
    "path", sorted(path for path in FORMATS.glob("*") if path.is_file()), ids=lambda path: path.name
)
def test_every_real_file_is_read_or_refused_for_the_right_reason(check, path):
    reason = REFUSED.get(path.suffix) or ("scanned pages need OCR" if path.stem in EMPTY else None)
    with GuardedReaders() as reading:
        if reason is not None:
            with pytest.raises(LoadingError, match=reason):
                reading.extract(path.read_bytes(), path.name)
            return
        document = reading.extract(path.read_bytes(), path.name)
    check(document)
    assert document == extract(path.read_bytes(), path.name)
    sys.stdout.write(f"{path.name}: {len(document.text):,} characters, {len(document.landmarks)} places\n")


@needs_formats
@pytest.mark.parametrize("path", sorted(FORMATS.glob("*.html")), ids=lambda path: path.stem)
def test_real_pages_become_structured_text_without_code(check, path):
    document = extract(path.read_bytes(), path.name)
    check(document)
    assert document.title
    kinds = Counter(element.kind for element in document.elements)
    assert kinds["heading"] > 3
    assert kinds["paragraph"] > 10
    assert "function(" not in document.text
