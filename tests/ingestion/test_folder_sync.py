"""The folder is the truth: what an ingest does with new, changed, renamed, vanished and unreadable files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack import IngestInterrupted, IngestReport, RAGSystem
from ragstack.embedding.fingerprint import PROBE_TEXTS
from ragstack.ingestion import run as run_module
from ragstack.records import FileState
from ragstack.store.connections import scalar

PARAGRAPH = "The quick brown fox jumps over the lazy dog near the river bank. "


class CountingEmbedder(DeterministicEmbedder):
    """Counts what it embeds, and can be told to fail or to be interrupted."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.before: Callable[[], None] = lambda: None

    def embed_documents(self, texts, *, progress=None):
        if list(texts) != list(PROBE_TEXTS):
            self.before()
            self.texts += texts
        return super().embed_documents(texts, progress=progress)


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def rag(tmp_path: Path, embedder: CountingEmbedder) -> Iterator[RAGSystem]:
    with RAGSystem.open(tmp_path / "store", embedder=embedder, chunk_size=32, overlap=8) as system:
        yield system


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "deep").mkdir(parents=True)
    (root / "a.md").write_text("# Alpha\n\n" + PARAGRAPH * 4)
    (root / "b.txt").write_text("Beta is about zebras.\n\n" + PARAGRAPH * 4)
    (root / "deep" / "c.txt").write_text("Gamma is about walruses.\n")
    (root / "d.txt").write_text("Delta is about otters.\n")
    _age(root)
    return root


def _age(root: Path) -> None:
    """Make the files old enough that their time stamps can be trusted."""
    for path in [root, *root.rglob("*")]:
        if path.is_file():
            stat = path.stat()
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10**11))


def _states(report: IngestReport) -> dict[str, FileState]:
    return {outcome.path: outcome.state for outcome in report.outcomes}


def _paths(rag: RAGSystem) -> set[str]:
    with rag.store.read() as snapshot:
        return {info.path for info in snapshot.documents()}


def _data_version(rag: RAGSystem) -> tuple[int, int]:
    with rag.store.read() as snapshot:
        sequence = scalar(snapshot.connection, "SELECT sequence FROM store_info")
    return sequence, rag.store.database.stat().st_mtime_ns


def test_a_first_ingest_stores_every_file(rag: RAGSystem, folder: Path) -> None:
    report = rag.ingest(folder)
    assert _states(report) == dict.fromkeys(("a.md", "b.txt", "d.txt", "deep/c.txt"), FileState.NEW)
    assert report.chunks == sum(outcome.chunks for outcome in report.outcomes) > 4
    assert report.embedded + report.reused == report.chunks


def test_a_second_ingest_reads_embeds_and_writes_nothing(
    rag: RAGSystem, folder: Path, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rag.ingest(folder)
    before, embedded = _data_version(rag), len(embedder.texts)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an unchanged file was read")

    monkeypatch.setattr(run_module, "read_bytes", refuse)
    report = rag.ingest(folder)
    assert (report.outcomes, report.unchanged) == ((), 4)
    assert len(embedder.texts) == embedded
    assert _data_version(rag) == before


def test_a_touched_but_identical_file_is_unchanged(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    os.utime(folder / "b.txt")
    assert rag.ingest(folder).unchanged == 4


def test_an_edit_embeds_only_the_chunks_that_changed(
    rag: RAGSystem, folder: Path, embedder: CountingEmbedder
) -> None:
    body = "".join(f"Paragraph {n} says that number {n} is {n * n}. " * 3 + "\n\n" for n in range(60))
    (folder / "long.txt").write_text(body)
    first = rag.ingest(folder)
    embedder.texts.clear()
    (folder / "long.txt").write_text(body.replace("number 30 is 900", "number 30 is nine hundred"))
    report = rag.ingest(folder)
    assert _states(report) == {"long.txt": FileState.CHANGED}
    assert 0 < report.embedded == len(embedder.texts) <= 8
    assert report.chunks > 30
    assert first.chunks > 30


def test_a_renamed_file_keeps_its_document_and_its_vectors(
    rag: RAGSystem, folder: Path, embedder: CountingEmbedder
) -> None:
    rag.ingest(folder)
    with rag.store.read() as snapshot:
        before = {info.path: info.document_id for info in snapshot.documents()}
    embedder.texts.clear()
    (folder / "a.md").rename(folder / "deep" / "renamed.md")
    report = rag.ingest(folder)
    assert _states(report) == {"deep/renamed.md": FileState.RENAMED}
    with rag.store.read() as snapshot:
        after = {info.path: info.document_id for info in snapshot.documents()}
    assert after["deep/renamed.md"] == before["a.md"]
    assert "a.md" not in after
    assert embedder.texts == []  # its title comes from its heading, so nothing that is embedded changed


def test_two_equal_files_are_two_documents_embedded_once(
    rag: RAGSystem, folder: Path, embedder: CountingEmbedder
) -> None:
    (folder / "a copy.md").write_text((folder / "a.md").read_text())
    rag.ingest(folder)
    assert {"a.md", "a copy.md"} <= _paths(rag)
    assert len(embedder.texts) == len(set(embedder.texts))


def test_a_vanished_file_is_removed(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    (folder / "b.txt").unlink()
    assert _states(rag.ingest(folder)) == {"b.txt": FileState.REMOVED}
    assert "b.txt" not in _paths(rag)
    assert not any("zebras" in hit.text for hit in rag.retrieve("zebras", 10))


def test_no_prune_keeps_what_is_gone(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    (folder / "b.txt").unlink()
    report = rag.ingest(folder, prune=False)
    assert [path for path, _ in report.kept] == ["b.txt"]
    assert "b.txt" in _paths(rag)


def test_over_half_gone_needs_to_be_said(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    for name in ("a.md", "b.txt", "d.txt"):
        (folder / name).unlink()
    report = rag.ingest(folder)
    assert len(report.kept) == 3
    assert "--prune" in report.kept[0][1]
    assert len(_paths(rag)) == 4
    rag.ingest(folder, prune=True)
    assert _paths(rag) == {"deep/c.txt"}


def test_a_missing_root_removes_nothing(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    shutil.move(folder, folder.with_name("unmounted"))
    report = rag.ingest(folder)
    assert len(report.failed) == 1
    assert "--prune" in report.failed[0].reason
    assert len(_paths(rag)) == 4
    rag.ingest(folder, prune=True)
    assert _paths(rag) == set()


def test_a_path_that_never_existed_is_an_error(rag: RAGSystem, tmp_path: Path) -> None:
    report = rag.ingest(tmp_path / "nowhere")
    assert [outcome.reason for outcome in report.failed] == ["no such file or folder"]


def test_ingesting_a_subfolder_prunes_only_there(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    (folder / "b.txt").unlink()
    (folder / "deep" / "e.txt").write_text("Epsilon is about seals.\n")
    (folder / "deep" / "f.txt").write_text("Phi is about sea lions.\n")
    rag.ingest(folder / "deep")
    (folder / "deep" / "f.txt").unlink()
    rag.ingest(folder / "deep")
    assert _paths(rag) == {"a.md", "b.txt", "d.txt", "deep/c.txt", "deep/e.txt"}
    assert len(rag.sources()) == 1


def test_overlapping_roots_store_a_file_once(rag: RAGSystem, folder: Path) -> None:
    rag.ingest([folder / "deep", folder / "b.txt"])
    rag.ingest(folder)
    assert _paths(rag) == {"a.md", "b.txt", "d.txt", "deep/c.txt"}
    assert [source.root for source in rag.sources()] == [folder.as_posix()]


def test_a_named_link_to_a_folder_and_a_home_path_are_followed(
    rag: RAGSystem, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "link").symlink_to(folder, target_is_directory=True)
    rag.ingest(folder.parent / "link")
    monkeypatch.setenv("HOME", folder.parent.as_posix())
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert rag.ingest("~/notes").unchanged == 4
    assert [source.root for source in rag.sources()] == [folder.as_posix()]


def test_a_single_file_prunes_only_itself(rag: RAGSystem, folder: Path) -> None:
    rag.ingest([folder / "a.md", folder / "b.txt"])
    (folder / "b.txt").unlink()
    rag.ingest(folder / "a.md")
    assert _paths(rag) == {"a.md", "b.txt"}
    rag.ingest(folder / "b.txt", prune=True)
    assert _paths(rag) == {"a.md"}


def test_a_file_that_cannot_be_read_stops_nothing_and_is_tried_again_when_it_changes(
    rag: RAGSystem, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 this is not really a PDF")
    _age(folder)
    report = rag.ingest(folder)
    assert [outcome.path for outcome in report.failed] == ["bad.pdf"]
    assert len(_paths(rag)) == 4
    read: list[str] = []
    original = run_module.read_bytes
    monkeypatch.setattr(
        run_module, "read_bytes", lambda path, **how: read.append(path.name) or original(path, **how)
    )
    assert rag.ingest(folder).failed[0].reason == report.failed[0].reason
    assert read == []
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 this is still not a PDF, but another one")
    assert len(rag.ingest(folder).failed) == 1
    assert read == ["bad.pdf"]


def test_the_last_good_version_of_an_unreadable_file_stays(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    (folder / "b.txt").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    report = rag.ingest(folder)
    assert [outcome.path for outcome in report.failed] == ["b.txt"]
    assert any("zebras" in hit.text for hit in rag.retrieve("zebras", 10))
    with rag.store.read() as snapshot:
        assert [info.path for info in snapshot.documents() if info.stale_reason] == ["b.txt"]
    (folder / "b.txt").write_text("Beta is about lions now.\n")
    rag.ingest(folder)
    with rag.store.read() as snapshot:
        assert [info.path for info in snapshot.documents() if info.stale_reason] == []


def test_a_newly_ignored_file_is_removed_with_the_reason(rag: RAGSystem, folder: Path) -> None:
    rag.ingest(folder)
    (folder / ".ragstackignore").write_text("d.txt\n")
    report = rag.ingest(folder)
    assert [(o.path, o.state) for o in report.outcomes] == [("d.txt", FileState.REMOVED)]
    assert report.outcomes[0].reason


def test_the_store_itself_is_never_walked(embedder: CountingEmbedder, folder: Path) -> None:
    with RAGSystem.open(folder / "store", embedder=embedder) as rag:
        rag.ingest(folder)
        (folder / "store" / "inside.txt").write_text("should not be found")
        rag.ingest(folder)
        assert not any("store" in path for path in _paths(rag))


def test_a_dry_run_says_what_would_happen_and_does_nothing(
    rag: RAGSystem, folder: Path, embedder: CountingEmbedder
) -> None:
    rag.ingest(folder)
    before, embedded = _data_version(rag), len(embedder.texts)
    (folder / "a.md").write_text("# Alpha\n\nis different now")
    (folder / "new.txt").write_text("Something new.")
    (folder / "b.txt").rename(folder / "bb.txt")
    (folder / "d.txt").unlink()
    report = rag.ingest(folder, dry_run=True)
    assert _states(report) == {
        "a.md": FileState.CHANGED,
        "new.txt": FileState.NEW,
        "bb.txt": FileState.RENAMED,
        "d.txt": FileState.REMOVED,
    }
    assert report.dry_run
    assert (_data_version(rag), len(embedder.texts)) == (before, embedded)


def test_what_was_committed_before_an_interruption_stays_and_the_rest_follows(
    rag: RAGSystem, folder: Path, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragstack.ingestion.batch.FLUSH_CHUNKS", 1)
    calls = iter(range(100))

    def interrupt() -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt

    embedder.before = interrupt
    with pytest.raises(IngestInterrupted) as raised:
        rag.ingest(folder)
    assert raised.value.report.interrupted
    assert len(_paths(rag)) == len(raised.value.report.outcomes) == 2
    embedder.before = lambda: None
    report = rag.ingest(folder)
    assert (report.unchanged, len(report.outcomes)) == (2, 2)


def test_a_document_that_cannot_be_embedded_fails_alone(
    rag: RAGSystem, folder: Path, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragstack.errors import EmbeddingError

    embed = DeterministicEmbedder.embed_documents

    def refuse(self: object, texts: list[str], *, progress: object = None):
        if any("walrus" in given for given in texts):
            raise EmbeddingError("the model returned NaN")
        return embed(self, texts, progress=progress)

    monkeypatch.setattr(CountingEmbedder, "embed_documents", refuse)
    report = rag.ingest(folder)
    assert {outcome.path: outcome.reason for outcome in report.failed} == {
        "deep/c.txt": "the model returned NaN"
    }
    assert len(_paths(rag)) == 3
