"""`ragstack ingest --checksum`: a file's bytes count, whatever the file system says of it."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing

import pytest


@pytest.fixture
def old(library, run):
    """Files old enough for their time stamps to be trusted, and a store that knows it."""
    for path in (library / "docs").iterdir():
        os.utime(path, ns=(10**18, 10**18))
    assert "3 unchanged" in run("ingest", "docs").stdout
    return library / "docs"


def rewrite_unnoticed(path, old_words, new_words, execute):
    """Change bytes as a failing disk or a tool that restores times does: the stat that is kept fits."""
    path.write_text(path.read_text(encoding="utf-8").replace(old_words, new_words), encoding="utf-8")
    os.utime(path, ns=(10**18, 10**18))
    execute(f"UPDATE documents SET ctime_ns = {path.stat().st_ctime_ns} WHERE path = '{path.name}'")


def test_only_checksum_finds_a_change_that_the_file_system_hides(run, old, execute):
    rewrite_unnoticed(old / "leave.md", "thirty", "twenty", execute)
    assert "3 unchanged" in run("ingest", "docs").stdout
    assert "1 changed, 2 unchanged" in run("ingest", "docs", "--checksum").stdout
    assert "twenty days" in run("search", "paid leave").stdout


def test_with_dry_run_it_only_says_so(run, old, execute):
    rewrite_unnoticed(old / "leave.md", "thirty", "twenty", execute)
    result = run("ingest", "docs", "--checksum", "--dry-run")
    assert result.stdout.startswith("Dry run, nothing was changed: 1 changed, 2 unchanged\n")
    assert "1 changed, 2 unchanged" in run("ingest", "docs", "--checksum").stdout


def test_an_unchanged_folder_is_read_and_nothing_is_written(run, old, library):
    with closing(sqlite3.connect(library / "store" / "ragstack.db")) as watcher:
        before = watcher.execute("PRAGMA data_version").fetchone()
        report = json.loads(run("ingest", "docs", "--checksum", "--json").stdout)
        assert watcher.execute("PRAGMA data_version").fetchone() == before
    assert (report["unchanged"], report["outcomes"]) == (3, [])


def test_a_file_that_failed_is_tried_again(run, old, execute):
    (old / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    assert run("ingest", "docs").exit_code == 1
    execute("UPDATE failures SET reason = 'as remembered'")
    assert "could not ingest `broken.pdf`: as remembered" in run("ingest", "docs").stderr
    assert "as remembered" not in run("ingest", "docs", "--checksum").stderr
