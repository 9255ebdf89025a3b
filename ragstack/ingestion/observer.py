"""How an ingest tells the outside how it goes on, and how it ends when it is interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ragstack.records import FileOutcome, IngestReport


class IngestObserver(Protocol):
    """Is told how an ingest goes on, to show progress."""

    def started(self, files: int) -> None:
        """A path was walked; so many more files will be looked at."""
        ...

    def file_done(self, outcome: FileOutcome) -> None:
        """A file was committed, found unchanged, removed, or failed."""
        ...

    def embedded(self, chunks: int) -> None:
        """So many more chunks have vectors."""
        ...

    def warning(self, text: str) -> None:
        """Something was healed or left out."""
        ...


class SilentObserver:
    """For callers that show nothing."""

    def started(self, files: int) -> None:
        """Nothing."""

    def file_done(self, outcome: FileOutcome) -> None:
        """Nothing."""

    def embedded(self, chunks: int) -> None:
        """Nothing."""

    def warning(self, text: str) -> None:
        """Nothing."""


class IngestInterrupted(KeyboardInterrupt):
    """Ctrl-C during an ingest; `report` says what was committed before."""

    def __init__(self, report: IngestReport) -> None:
        super().__init__()
        self.report = report
