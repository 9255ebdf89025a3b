"""What a child process saves the ingest from: hangs, memory, crashes, and answers that make no sense."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import sample_files
from sample_files import SAMPLES

from ragstack.errors import LoadingError, MissingExtraError
from ragstack.loading import guard, wire
from ragstack.loading.guard import GuardedReaders
from ragstack.loading.limits import Limits
from ragstack.loading.readers import READERS, extract, reader_for
from ragstack.records import Document, Element, ElementKind, Landmark


@pytest.fixture(scope="module")
def reading():
    with GuardedReaders(Limits(seconds=20)) as opened:
        yield opened


@pytest.mark.parametrize("name", SAMPLES)
def test_a_document_comes_out_of_the_child_as_it_would_without_it(reading, name):
    data = SAMPLES[name]()
    assert reading.extract(data, name) == extract(data, name)


def test_readers_that_are_linear_by_construction_start_no_child():
    with GuardedReaders() as reading:
        for name in (
            "note.txt",
            "stock.csv",
            "stock.json",
            "crossing.srt",
            "charts.rst",
            "knots.tex",
            "harbour.py",
        ):
            reading.extract(SAMPLES[name](), name)
        assert reading._child is None
        reading.extract(SAMPLES["note.html"](), "note.html")
        assert reading._child is not None


def test_only_readers_of_our_own_text_run_without_the_guard():
    assert all(reader.needs_guard(50_000_000) for reader in READERS)
    unguarded = {reader.name for reader in READERS if not reader.needs_guard(1_000_000)}
    assert unguarded == {"text", "table", "json", "subtitles", "restructured", "latex", "source"}
    assert all(reader.is_text for reader in READERS if reader.name in unguarded)
    assert not reader_for("a.md").needs_guard(60_000)
    assert reader_for("a.md").needs_guard(70_000)


def test_reasons_and_hints_come_through(reading):
    with pytest.raises(LoadingError, match="not a PDF document, though its name says so"):
        reading.extract(b"words", "a.pdf")
    with pytest.raises(LoadingError, match="no reader for") as caught:
        reading.extract(b"words", "a.unknown")
    assert ".pdf" in caught.value.hint


def test_one_child_serves_many_files(reading):
    reading.extract(SAMPLES["ferry.docx"](), "a.docx")
    child = reading._child
    with pytest.raises(LoadingError):
        reading.extract(b"PK\x03\x04", "b.docx")
    reading.extract(SAMPLES["locks.odt"](), "c.odt")
    assert reading._child is child


def bomb(size):
    """A PDF whose only page unpacks to this many bytes of drawing."""
    stream = zlib.compress(b"0 0 m 9 9 l S " * (size // 14), 9)
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Length %d/Filter/FlateDecode>>stream\n"
        % len(stream)
        + stream
        + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n"
    )


def test_a_file_that_takes_too_long_is_given_up_and_the_next_one_is_read():
    with GuardedReaders(Limits(seconds=1)) as reading:
        with pytest.raises(LoadingError, match="took longer than the limit of 1 s") as caught:
            reading.extract(b"<div>" * 60_000, "a.html")
        assert "--checksum" in caught.value.hint
        assert reading.extract(b"<p>words", "b.html").text == "words"


def test_a_file_that_takes_too_much_memory_is_given_up_and_the_next_one_is_read():
    with GuardedReaders(Limits(seconds=30, memory_bytes=128 * 2**20)) as reading:
        with pytest.raises(LoadingError, match="memory"):
            reading.extract(b"<p>a" * 5_000_000, "a.html")
        assert reading.extract(b"<p>words", "b.html").text == "words"


def test_a_parser_that_dies_is_a_reason_and_the_next_file_is_read():
    with GuardedReaders() as reading:
        reading.extract(b"<p>words", "a.html")
        reading._child.kill()
        reading._child.wait()
        assert reading.extract(b"<p>words", "b.html").text == "words"


def test_a_crash_while_reading_names_its_signal(monkeypatch):
    crash = "import os, sys; sys.stdin.buffer.read(12); os.abort()"
    monkeypatch.setattr(guard, "_BOOT", crash)
    with GuardedReaders() as reading, pytest.raises(LoadingError, match=r"crashed \(signal 6\)"):
        reading.extract(b"<p>words", "a.html")


@pytest.mark.parametrize(
    "answer", [b"", b"\x00" * 12, b"\x00\x00\x00\x02" + bytes(8) + b"[]", b"nonsense" * 9]
)
def test_an_answer_that_makes_no_sense_is_a_reason(monkeypatch, answer):
    boot = f"import sys; sys.stdin.buffer.read(12); sys.stdout.buffer.write({answer!r})"
    monkeypatch.setattr(guard, "_BOOT", boot)
    with GuardedReaders() as reading, pytest.raises(LoadingError, match="parser"):
        reading.extract(b"<p>words", "a.html")


def test_the_child_ends_with_its_owner():
    with GuardedReaders() as reading:
        reading.extract(b"<p>words", "a.html")
        child = reading._child
    assert child.poll() is not None


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the child in /proc")
def test_the_child_ends_when_its_owner_is_killed():
    code = (
        "import os, signal, sys; from ragstack.loading.guard import GuardedReaders;"
        " r = GuardedReaders(); r.extract(b'<p>w', 'a.html'); print(r._child.pid, flush=True);"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            return
        os.sched_yield()
        subprocess.run(["sleep", "0.05"], check=True)
    raise AssertionError("the child is still there")


def test_what_a_parser_prints_does_not_disturb_its_answers(reading):
    notebook = sample_files.sample_ipynb()
    assert reading.extract(notebook, "a.ipynb").title == "Tides"


def test_documents_survive_the_wire():
    document = Document(
        text="# \u00e4\n\U0001f600",
        media_type="text/markdown",
        reader="markdown",
        reader_version=3,
        title="\u00e4",
        elements=(Element(ElementKind.HEADING, 0, 3, 1, "\u00e4"),),
        landmarks=(Landmark(4, "page", "2"),),
        lines_are_original=True,
        metadata={"author": "\u00e9"},
    )
    assert wire.document_of(*wire.answer(document)) == document


@pytest.mark.parametrize(
    "change",
    [
        {"elements": [["code", 0, 99, 0, ""]]},
        {"elements": [["code", 2, 1, 0, ""]]},
        {"elements": [["verse", 0, 1, 0, ""]]},
        {"landmarks": [[1, "page"]]},
    ],
)
def test_a_document_that_breaks_its_promises_is_refused(change):
    header, payload = wire.answer(extract(b"words", "a.txt"))
    with pytest.raises(LoadingError, match="makes no sense"):
        wire.document_of({**header, **change}, payload)


def test_a_missing_extra_is_still_one_behind_the_wire():
    refusal = wire.refusal(MissingExtraError("reading MSG files", extra="msg"))
    with pytest.raises(MissingExtraError) as caught:
        wire.document_of(refusal, b"")
    assert caught.value.message == "reading MSG files needs the extra `msg`"


def test_no_reader_with_a_library_is_read_without_the_guard():
    assert all(
        reader_for(f"a{suffix}").needs_guard(1) for suffix in (".pdf", ".docx", ".pptx", ".xls", ".html")
    )
