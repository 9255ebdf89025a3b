"""The progress of an ingest: on a terminal only, on stderr only, and harmless."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from ragstack.cli.progress import ProgressBar, WarningsOnly, ingest_progress
from ragstack.records import FileOutcome, FileState

HOSTILE = "[bold]`a\x1b[2Jb`[/bold] [link=http://evil]x[/link]"
HARMLESS = r"[bold]`a\x1b[2Jb`[/bold] [link=http://evil]x[/link]"


@pytest.fixture
def screen():
    return io.StringIO()


@pytest.fixture
def bar(screen):
    columns = (MofNCompleteColumn(), TextColumn("{task.fields[rate]}", markup=False))
    progress = Progress(*columns, console=Console(file=screen, force_terminal=True, width=200))
    with progress:
        yield ProgressBar(progress)


def outcome(state):
    return FileOutcome("a.md", state)


def test_where_stderr_is_no_terminal_there_is_no_bar(capsys):
    with ingest_progress(quiet=False) as observer:
        observer.started(3)
        observer.embedded(10)
        observer.file_done(outcome(FileState.NEW))
    assert isinstance(observer, WarningsOnly)
    assert capsys.readouterr() == ("", "")


def test_warnings_are_printed_even_without_a_bar_and_harmlessly(capsys):
    with ingest_progress(quiet=True) as observer:
        observer.warning(HOSTILE)
        observer.announce(HOSTILE)
    assert capsys.readouterr() == ("", f"warning: {HARMLESS}\n{HARMLESS}\n")


def test_on_a_terminal_there_is_a_bar_on_stderr_unless_quiet(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with ingest_progress(quiet=False) as observer:
        assert isinstance(observer, ProgressBar)
    with ingest_progress(quiet=True) as observer:
        assert isinstance(observer, WarningsOnly)
    assert capsys.readouterr().out == ""


def test_the_bar_counts_files_of_every_path_and_shows_the_rate_of_embedding(bar, screen):
    bar.started(3)
    bar.started(2)
    bar.embedded(1_500)
    bar.file_done(outcome(FileState.NEW))
    bar.file_done(outcome(FileState.REMOVED))
    bar._bar.refresh()
    assert "1/5" in screen.getvalue()
    assert "1,500 chunks, " in screen.getvalue()
    assert "/s" in screen.getvalue()


def test_the_bar_says_what_is_going_on(screen):
    with Progress(
        TextColumn("{task.description}"), console=Console(file=screen, force_terminal=True)
    ) as shown:
        ProgressBar(shown, "Re-embedding").started(2)
        shown.refresh()
    assert "Re-embedding" in screen.getvalue()


def test_what_is_printed_above_the_bar_is_neither_markup_nor_control(bar, screen):
    bar.warning(HOSTILE)
    bar.announce(HOSTILE)
    assert screen.getvalue().count(HARMLESS) == 2
    assert "\x1b[2J" not in screen.getvalue()
