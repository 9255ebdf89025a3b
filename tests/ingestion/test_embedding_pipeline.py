"""Documents are read and committed while others are embedded: in order, within bounds, each input once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack import IngestInterrupted, RAGSystem
from ragstack.embedding.fingerprint import PROBE_TEXTS
from ragstack.errors import EmbeddingError
from ragstack.ingestion import batch as batch_module
from ragstack.ingestion import run as run_module
from ragstack.ingestion.observer import SilentObserver
from ragstack.records import FileOutcome

FOR_EVER = 30.0
SHARED = "This line stands in several of the files, word by word the same, to be embedded once only.\n"


class WatchedEmbedder(DeterministicEmbedder):
    """Says in which thread it embeds what, and does `before` first."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[list[str]], None] = lambda texts: None
        self.texts: list[str] = []
        self.threads: set[str] = set()

    def embed_documents(self, texts, *, progress=None):
        if list(texts) != list(PROBE_TEXTS):
            self.before(texts)
            self.texts += texts
            self.threads.add(threading.current_thread().name)
        return super().embed_documents(texts, progress=progress)


class Recorder(SilentObserver):
    def __init__(self) -> None:
        self.done: list[str] = []
        self.embedded_chunks = 0
        self.threads: set[str] = set()

    def file_done(self, outcome: FileOutcome) -> None:
        self.done.append(outcome.path)
        self.threads.add(threading.current_thread().name)

    def embedded(self, chunks: int) -> None:
        self.embedded_chunks += chunks
        self.threads.add(threading.current_thread().name)


@pytest.fixture
def embedder() -> WatchedEmbedder:
    return WatchedEmbedder()


@pytest.fixture
def rag(tmp_path: Path, embedder: WatchedEmbedder) -> Iterator[RAGSystem]:
    with RAGSystem.open(tmp_path / "store", embedder=embedder, chunk_size=32, overlap=8) as system:
        yield system


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve files of one chunk, each a group of its own."""
    monkeypatch.setattr(batch_module, "FLUSH_CHUNKS", 1)
    root = tmp_path / "notes"
    root.mkdir()
    for number in range(12):
        (root / f"{number:02}.txt").write_text(f"File number {number} is about animal {number}.\n")
    return root


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read, in order."""
    names: list[str] = []
    original = run_module.read_bytes

    def read_bytes(path: Path, **limits: object):
        names.append(path.name)
        return original(path, **limits)

    monkeypatch.setattr(run_module, "read_bytes", read_bytes)
    return names


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "embedding"]


def test_files_are_read_while_others_are_embedded(rag, folder, embedder, read) -> None:
    ahead: list[int] = []
    goes_on = threading.Event()

    def wait(_texts: list[str]) -> None:
        # The first group is not embedded before files of later groups were read.
        if not ahead:
            assert goes_on.wait(FOR_EVER)
        ahead.append(len(read))

    embedder.before = wait
    original = batch_module.chunk_document

    def chunk_document(document, *arguments, **settings):
        if "number 2" in document.text:
            goes_on.set()
        return original(document, *arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_module, "chunk_document", chunk_document)
        rag.ingest(folder)
    assert ahead[0] >= 3
    assert embedder.threads == {"embedding"}


def test_what_is_read_ahead_of_the_commits_is_bounded(rag, folder, embedder, read) -> None:
    recorder, most = Recorder(), []
    embedder.before = lambda texts: most.append(len(read) - len(recorder.done))

    rag.ingest(folder, observer=recorder)
    assert len(recorder.done) == 12
    assert max(most) <= batch_module.MOST_EMBEDDING + 2


def test_documents_are_committed_in_their_order_by_the_caller_s_thread(rag, folder) -> None:
    recorder = Recorder()
    report = rag.ingest(folder, observer=recorder)

    assert recorder.done == sorted(path.name for path in folder.iterdir())
    assert recorder.done == [outcome.path for outcome in report.outcomes]
    assert recorder.threads == {threading.main_thread().name}
    assert recorder.embedded_chunks == report.embedded == 12
    assert alive() == []


def test_an_input_of_several_groups_is_embedded_once(rag, folder, embedder) -> None:
    for path in list(folder.iterdir()):
        path.unlink()
        path.mkdir()
        (path / "same.txt").write_text(SHARED)

    report = rag.ingest(folder)
    assert len(report.outcomes) == report.chunks == 12
    assert len(embedder.texts) == report.embedded == 1
    assert report.outcomes[0].embedded == 1


def test_an_input_shared_with_a_document_that_fails_is_not_lost(rag, folder, embedder) -> None:
    for path in folder.iterdir():
        path.unlink()
    body = SHARED * 12
    (folder / "1").mkdir()
    (folder / "2").mkdir()
    (folder / "1" / "same.txt").write_text(f"{body}This one is about a walrus.\n")
    (folder / "2" / "same.txt").write_text(body)

    def refuse(texts: list[str]) -> None:
        if any("walrus" in text for text in texts):
            raise EmbeddingError("the model returned NaN")

    embedder.before = refuse
    report = rag.ingest(folder)
    assert [(each.path, each.reason) for each in report.failed] == [("1/same.txt", "the model returned NaN")]
    assert [each.path for each in report.outcomes if not each.reason] == ["2/same.txt"]
    assert any(hit.chunk.path == "2/same.txt" for hit in rag.retrieve("word by word the same", 3))


def test_documents_that_cannot_be_embedded_fail_alone_within_a_group(
    rag, folder, embedder, monkeypatch
) -> None:
    monkeypatch.setattr(batch_module, "FLUSH_CHUNKS", 5)

    def refuse(texts: list[str]) -> None:
        if any("animal 3." in text or "animal 7." in text for text in texts):
            raise EmbeddingError("the model returned NaN")

    embedder.before = refuse
    report = rag.ingest(folder)
    assert [outcome.path for outcome in report.failed] == ["03.txt", "07.txt"]
    assert report.chunks == report.embedded == 10
    embedder.before = lambda texts: None
    (folder / "03.txt").write_text("Now it is about animal three.\n")
    assert rag.ingest(folder).embedded == 1


@pytest.mark.parametrize("at", [0, 3, 11])
def test_an_interruption_while_embedding_keeps_what_was_committed(rag, folder, embedder, at: int) -> None:
    calls: list[int] = []

    def interrupt(_texts: list[str]) -> None:
        calls.append(1)
        if len(calls) == at + 1:
            raise KeyboardInterrupt

    embedder.before = interrupt
    with pytest.raises(IngestInterrupted) as raised:
        rag.ingest(folder)
    assert len(raised.value.report.outcomes) == at
    assert alive() == []
    embedder.before = lambda texts: None
    assert len(rag.ingest(folder).outcomes) == 12 - at


def test_an_interruption_while_reading_ends_the_embedding(rag, folder, embedder, monkeypatch) -> None:
    original = run_module.read_bytes

    def read_bytes(path: Path, **limits: object):
        if path.name == "08.txt":
            raise KeyboardInterrupt
        return original(path, **limits)

    monkeypatch.setattr(run_module, "read_bytes", read_bytes)
    with pytest.raises(IngestInterrupted) as raised:
        rag.ingest(folder)
    assert alive() == []
    committed = len(raised.value.report.outcomes)
    assert 8 - batch_module.MOST_EMBEDDING - 1 <= committed <= 8
    monkeypatch.setattr(run_module, "read_bytes", original)
    report = rag.ingest(folder)
    assert (report.unchanged, len(report.outcomes)) == (committed, 12 - committed)


def test_an_error_while_committing_ends_the_embedding(rag, folder, monkeypatch) -> None:
    from ragstack.store.writer import Writer

    def fail(*_: object, **__: object) -> int:
        raise OSError("no space left on device")

    monkeypatch.setattr(Writer, "put_document", fail)
    with pytest.raises(OSError, match="no space left"):
        rag.ingest(folder)
    assert alive() == []


def test_texts_added_one_by_one_embed_the_probes_once(rag, embedder, monkeypatch) -> None:
    probes: list[int] = []
    embed = DeterministicEmbedder.embed_documents

    def count(self, texts, *, progress=None):
        if list(texts) == list(PROBE_TEXTS):
            probes.append(1)
        return embed(self, texts, progress=progress)

    monkeypatch.setattr(DeterministicEmbedder, "embed_documents", count)
    for number in range(4):
        rag.add_document(f"Text number {number}.")
    assert len(probes) == 1
