"""What `ragstack ingest` takes beside folders (stdin, globs, filters, limits, a watch), and leaves out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragstack.loading.ignore import SECRETS


def ingested(invoke, *arguments, **options):
    return invoke("ingest", "--store", "store", *arguments, **options)


@pytest.fixture
def here(folder, light_models):
    """A working directory with three documents."""
    (folder / "docs").mkdir()
    (folder / "docs" / "a.md").write_text("# Alder\n\nThe alder grows by water.\n")
    (folder / "docs" / "b.txt").write_text("The birch has a white bark.\n")
    (folder / "docs" / "c.csv").write_text("Tree,Height\nCedar,40\n")
    return folder


def names(invoke):
    document = json.loads(invoke("inspect", "--store", "store", "documents", "--json").stdout)
    return sorted(each["path"] for each in document["documents"])


def test_a_document_comes_from_stdin_by_its_name(invoke, here):
    result = ingested(invoke, "-", "--name", "notes/larch.md", input="# Larch\n\nIt drops its needles.\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Ingested: 1 new\n")
    assert names(invoke) == ["notes/larch.md"]
    again = ingested(invoke, "-", "--name", "notes/larch.md", input="# Larch\n\nIt drops its needles.\n")
    assert again.stdout.startswith("Ingested: 1 unchanged\n")


def test_what_comes_from_stdin_is_read_as_its_name_says(invoke, here):
    result = ingested(invoke, "-", "--name", "plan.pdf", input="words")
    assert result.exit_code == 1
    assert "not a PDF document, though its name says so" in result.stderr


def test_stdin_over_the_limit_is_refused(invoke, here):
    result = ingested(invoke, "-", "--max-file-mib", "1", input="a" * (2**20 + 1))
    assert result.exit_code == 1
    assert "stdin is larger than the limit of 1 MiB" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "docs"], "cannot be named together with other paths"),
        (["-", "--watch"], "neither watched nor tried"),
        (["docs", "--name", "x"], "`--name` is for what comes from stdin"),
        (["docs", "--watch", "--json"], "neither `--dry-run` nor `--json`"),
        (["nothing/*.md"], "nothing is like `nothing/*.md`"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(invoke, here, arguments, message):
    result = ingested(invoke, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_glob_stands_for_the_files_that_are_like_it(invoke, here):
    assert ingested(invoke, "docs/*.md", "do*/*.csv").exit_code == 0
    assert names(invoke) == ["a.md", "c.csv"]


def test_filters_choose_files_of_a_folder(invoke, here):
    assert (
        ingested(invoke, "docs", "--include", "*.md", "--include", "*.csv", "--exclude", "c*").exit_code == 0
    )
    assert names(invoke) == ["a.md"]


def test_limits_are_options(invoke, here):
    result = ingested(invoke, "docs", "--max-chunks", "1")
    assert result.exit_code == 0
    (here / "docs" / "long.txt").write_text("The oak is old. " * 400)
    result = ingested(invoke, "docs", "--max-chunks", "1")
    assert result.exit_code == 1
    assert "more than the limit of 1" in result.stderr


def test_secrets_are_left_out_unless_they_are_named_or_taken_back(invoke, here):
    for name in (".env", "id_rsa.txt", "credentials.json", ".hidden.md"):
        (here / "docs" / name).write_text("{}\n")
    result = ingested(invoke, "docs", "-v")
    assert result.exit_code == 0
    assert names(invoke) == ["a.md", "b.txt", "c.csv"]
    assert "skipped `credentials.json`: may hold a secret" in result.stderr
    assert "skipped `.env`: hidden" in result.stderr
    (here / "docs" / ".ragstackignore").write_text("!credentials.json\n!.hidden.md\n")
    assert ingested(invoke, "docs").exit_code == 0
    assert names(invoke) == [".hidden.md", "a.md", "b.txt", "c.csv", "credentials.json"]
    assert ingested(invoke, "docs/id_rsa.txt").exit_code == 0
    assert "id_rsa.txt" in names(invoke)


def test_a_repository_cannot_have_its_secrets_read_by_its_gitignore(invoke, here):
    (here / "docs" / "secrets.json").write_text("{}\n")
    (here / "docs" / ".gitignore").write_text("!secrets.json\n!.env\n")
    assert ingested(invoke, "docs").exit_code == 0
    assert "secrets.json" not in names(invoke)


def test_a_rule_for_all_files_of_a_kind_takes_back_no_hidden_one(invoke, here):
    (here / "docs" / ".secret.md").write_text("# Secret\n")
    (here / "docs" / ".ragstackignore").write_text("*\n!*.md\n")
    assert ingested(invoke, "docs").exit_code == 0
    assert names(invoke) == ["a.md"]


def test_the_help_says_what_is_left_out(invoke):
    shown = "".join(invoke("ingest", "--help").stdout.split())
    assert all(name in shown for name in SECRETS)
    assert ".ragstackignore" in shown


def test_a_folder_of_bad_files_ends_with_1_and_names_each(invoke, here):
    (here / "docs" / "bad.pdf").write_bytes(b"%PDF-1.4 nothing")
    (here / "docs" / "image.csv").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = ingested(invoke, "docs")
    assert result.exit_code == 1
    assert result.stdout.startswith("Ingested: 3 new, 2 failed")
    assert "could not ingest `bad.pdf`: damaged, or not a PDF document" in result.stderr
    assert "could not ingest `image.csv`: looks like a PNG image, not text" in result.stderr


WATCHER = """
import sys
sys.path.insert(0, {support!r})
import ragstack.embedding.open
from deterministic_embedder import DeterministicEmbedder
ragstack.embedding.open.open_embedder = lambda *a, **k: DeterministicEmbedder()
from ragstack.cli import main
sys.argv = ["ragstack", "ingest", "--watch", "--store", {store!r}, {docs!r}]
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="stops the watch with a signal")
def test_a_watch_keeps_the_store_in_step_until_it_is_interrupted(invoke, here):
    pytest.importorskip("watchfiles")
    support = Path(__file__).resolve().parents[1] / "support"
    code = WATCHER.format(support=str(support), store=str(here / "store"), docs=str(here / "docs"))
    watcher = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watcher.stdout is not None
        assert watcher.stdout.readline().startswith("Ingested: 3 new")
        (here / "docs" / "bad.pdf").write_bytes(b"words")
        (here / "docs" / "d.txt").write_text("The elm is tall.\n")
        _until(lambda: "d.txt" in names(invoke))
        (here / "docs" / "a.md").unlink()
        _until(lambda: "a.md" not in names(invoke))
        assert watcher.poll() is None
        watcher.send_signal(signal.SIGINT)
        _, errors = watcher.communicate(timeout=30)
    finally:
        watcher.kill()
        watcher.wait()
    assert watcher.returncode == 0, errors
    assert "bad.pdf" in errors
    assert "Stopped watching" in errors


def _until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
