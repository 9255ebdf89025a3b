"""A folder of hostile files: the run ends, names every refusal with its reason, and the rest can be asked."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil
import pytest
from deterministic_embedder import DeterministicEmbedder
from hostile_files import FAILED, KINDS, READ, SKIPPED, make_folder

from ragstack import RAGSystem
from ragstack.loading.limits import Limits
from ragstack.loading.selection import Selection
from ragstack.records import FileState

LIMITS = Limits(seconds=3, memory_bytes=384 * 2**20)


class MemoryWatch(threading.Thread):
    """Notes the most memory that this process and its children hold together."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process()
        self.before = self.process.memory_info().rss
        self.peak = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(0.05):
            held = self.process.memory_info().rss
            for child in self.process.children(recursive=True):
                try:
                    held += child.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, held)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    kinds = make_folder(root / "files")
    watch = MemoryWatch()
    watch.start()
    with RAGSystem.open(root / "store", embedder=DeterministicEmbedder(), chunk_size=64, overlap=8) as system:
        report = system.ingest(root / "files", limits=LIMITS)
        watch.stopped.set()
        watch.join()
        hits = system.retrieve("what does the lamp of the lighthouse burn", top_k=3)
        yield kinds, report, hits, watch


@pytest.fixture(scope="module")
def fates(ingested):
    """What became of each path, and why."""
    _, report, _, _ = ingested
    fates = {path.rstrip("/"): (SKIPPED, reason) for path, reason in report.skipped}
    for outcome in report.outcomes:
        fates[outcome.path] = (FAILED if outcome.state is FileState.FAILED else READ, outcome.reason)
    return fates


def test_there_are_enough_kinds():
    assert len(KINDS) >= 40
    assert len({kind.path for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: ascii(kind.path[:40]))
def test_each_hostile_file_has_the_fate_that_it_should(ingested, fates, kind):
    kinds, _, _, _ = ingested
    if kind not in kinds:
        pytest.skip("this system cannot make it")
    if kind.path == "deep":
        assert fates["deep/" + "d/" * 60 + "bottom.txt"][0] == READ
        return
    outcome, reason = fates[kind.reported]
    assert kind.accepts(outcome, reason), (outcome, reason)
    assert "\n" not in reason


def test_every_refusal_is_a_failure_that_makes_the_command_fail(ingested):
    _, report, _, _ = ingested
    assert len(report.failed) > 25
    assert all(outcome.reason for outcome in report.failed)
    assert not report.interrupted


def test_the_good_files_are_found(ingested):
    _, _, hits, _ = ingested
    assert hits[0].chunk.path == "good/lighthouse.md"


def test_all_processes_together_stay_within_memory(ingested):
    _, _, _, watch = ingested
    assert watch.peak - watch.before < LIMITS.memory_bytes * 1.5 + 200 * 2**20


def test_nothing_outside_of_the_folder_was_read(ingested, fates):
    assert not any("passwd" in path for path in fates)


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_a_folder_that_becomes_a_link_while_it_is_read_is_not_followed(tmp_path):
    from ragstack.errors import LoadingError
    from ragstack.loading.files import read_bytes

    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "sub" / "a.txt").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_text("outside")
    path = tmp_path / "root" / "sub" / "a.txt"
    assert read_bytes(path, beneath=tmp_path / "root").data == b"inside"
    (tmp_path / "root" / "sub").rename(tmp_path / "root" / "old")
    (tmp_path / "root" / "sub").symlink_to(tmp_path / "outside")
    with pytest.raises(LoadingError, match="link"):
        read_bytes(path, beneath=tmp_path / "root")


@pytest.fixture
def rag(tmp_path):
    with RAGSystem.open(
        tmp_path / "store", embedder=DeterministicEmbedder(), chunk_size=32, overlap=8
    ) as system:
        yield system


def write(root: Path, **files: str) -> Path:
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        (root / name.replace("_", ".")).write_text(content)
    return root


@pytest.mark.skipif(not hasattr(os, "link"), reason="needs hard links")
def test_hard_links_are_read_unless_they_are_refused(rag, tmp_path):
    root = write(tmp_path / "files", a_txt="One inode.\n", b_txt="Another.\n")
    os.link(root / "a.txt", root / "c.txt")
    report = rag.ingest(root, selection=Selection(hard_links=False))
    assert [outcome.path for outcome in report.failed] == ["a.txt", "c.txt"]
    assert "--no-hardlinks" in report.failed[0].reason
    assert rag.ingest(root).failed == ()


def paths(rag):
    with rag.store.read() as snapshot:
        return sorted(info.path for info in snapshot.documents())


def test_only_what_is_included_and_not_excluded_is_read_and_nothing_is_forgotten(rag, tmp_path):
    root = write(tmp_path / "files", a_txt="One.\n", b_md="Two.\n", c_md="Three.\n")
    rag.ingest(root, selection=Selection(include=("*.md",), exclude=("c*",)))
    assert paths(rag) == ["b.md"]
    rag.ingest(root)
    assert paths(rag) == ["a.txt", "b.md", "c.md"]
    (root / "a.txt").unlink()
    rag.ingest(root, selection=Selection(include=("*.md",)))
    assert paths(rag) == ["a.txt", "b.md", "c.md"]
    rag.ingest(root, selection=Selection(exclude=("*.md",)))
    assert paths(rag) == ["b.md", "c.md"]


def test_a_document_of_too_many_chunks_is_refused(rag, tmp_path):
    root = write(tmp_path / "files", a_txt="Many words are here. " * 200, b_txt="Few.\n")
    report = rag.ingest(root, limits=Limits(chunks=3))
    assert [outcome.path for outcome in report.failed] == ["a.txt"]
    assert "chunks, more than the limit of 3" in report.failed[0].reason
    assert paths(rag) == ["b.txt"]


def test_a_file_over_the_size_that_is_asked_for_is_refused(rag, tmp_path):
    root = write(tmp_path / "files", a_txt="words " * 100)
    report = rag.ingest(root, limits=Limits(file_bytes=100))
    assert "larger than the limit of 100 bytes" in report.failed[0].reason


def test_a_file_whose_library_was_missing_is_read_once_it_is_there(rag, tmp_path, monkeypatch):
    from ragstack.errors import MissingExtraError
    from ragstack.loading.guard import GuardedReaders

    root = write(tmp_path / "files", a_txt="Words.\n")

    def missing(self, data, name):
        raise MissingExtraError("reading MSG files", extra="msg")

    with monkeypatch.context() as patch:
        patch.setattr(GuardedReaders, "extract", missing)
        report = rag.ingest(root)
    assert "pip install 'ragstack[msg]'" in report.failed[0].reason
    assert rag.ingest(root).failed == ()
    assert paths(rag) == ["a.txt"]


def test_the_content_of_a_pipe_is_stored_by_name_and_replaced_by_name(rag):
    assert rag.ingest_bytes(b"# Notes\n\nThe moon.\n", name="notes.md").state is FileState.NEW
    assert rag.ingest_bytes(b"# Notes\n\nThe moon.\n", name="notes.md").state is FileState.UNCHANGED
    assert rag.ingest_bytes(b"# Notes\n\nThe sun.\n", name="notes.md").state is FileState.CHANGED
    assert paths(rag) == ["notes.md"]
    assert rag.ingest_bytes(b"Without a name.").state is FileState.NEW
    assert len(paths(rag)) == 2
