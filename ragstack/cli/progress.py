"""Shows on stderr how far an ingest or a re-embedding is; where stderr is no terminal, only its warnings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ragstack.cli import console
from ragstack.records import FileState

if TYPE_CHECKING:
    from rich.progress import Progress

    from ragstack.records import FileOutcome


@contextmanager
def ingest_progress(*, quiet: bool, doing: str = "Ingesting") -> Iterator[WarningsOnly | ProgressBar]:
    """What tells the user about long work while it runs: an `IngestObserver`."""
    if quiet or not sys.stderr.isatty():
        yield WarningsOnly()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        console=Console(stderr=True, no_color=console.wants_plain_output() or None),
        transient=True,
    )
    with bar:
        yield ProgressBar(bar, doing)


class WarningsOnly:
    """Says nothing but what needs attention."""

    def started(self, files: int) -> None:
        """A path was walked; so many more files are to be looked at."""

    def file_done(self, _outcome: FileOutcome) -> None:
        """One of them is done."""

    def embedded(self, chunks: int) -> None:
        """So many more chunks have their vectors."""

    def warning(self, text: str) -> None:
        """Something needs attention."""
        console.warn(text)

    def announce(self, text: str) -> None:
        """Something is going on."""
        console.note(text)


class ProgressBar:
    """A bar over the files, with the rate of embedding and the time that is left."""

    def __init__(self, bar: Progress, doing: str = "Ingesting") -> None:
        self._bar = bar
        self._doing = doing
        self._task = bar.add_task("Reading", total=None, rate="")
        self._files = 0
        self._chunks = 0

    def started(self, files: int) -> None:
        """A path was walked; so many more files are to be looked at."""
        self._files += files
        self._bar.update(self._task, description=self._doing, total=self._files)

    def file_done(self, outcome: FileOutcome) -> None:
        """One of them is done, or a file that is gone was removed."""
        if outcome.state is not FileState.REMOVED:
            self._bar.advance(self._task)

    def embedded(self, chunks: int) -> None:
        """So many more chunks have their vectors."""
        self._chunks += chunks
        elapsed = self._bar.tasks[self._task].elapsed or 0.0
        rate = f"{self._chunks:,} chunks, {self._chunks / elapsed:,.0f}/s" if elapsed else ""
        self._bar.update(self._task, rate=rate)

    def warning(self, text: str) -> None:
        """Something needs attention; it is printed above the bar."""
        self._print(("warning: ", "yellow"), console.safe_line(text))

    def announce(self, text: str) -> None:
        """Something is going on; it is printed above the bar."""
        self._print(console.safe_line(text))

    def _print(self, *parts: str | tuple[str, str]) -> None:
        from rich.text import Text

        self._bar.console.print(Text.assemble(*parts), soft_wrap=True)
