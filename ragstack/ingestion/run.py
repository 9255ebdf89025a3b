"""One ingest, from a list of paths to a report.

For every path: walk it, leave alone what is unchanged, read the rest, recognise renames by content, commit
what is new or changed, and only then remove what is gone. A file that fails is reported and passed over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragstack.errors import LoadingError, MissingExtraError
from ragstack.ingestion.batch import Committed, DocumentBatch, PendingDocument
from ragstack.ingestion.observer import IngestInterrupted, IngestObserver
from ragstack.ingestion.survey import (
    PRUNE_AT_MOST,
    Survey,
    is_same_failure,
    is_same_reader,
    is_unchanged,
    place_at,
    reader_identity,
    survey,
    title_from_path,
)
from ragstack.loading.files import read_bytes
from ragstack.loading.selection import EVERYTHING, Selection
from ragstack.loading.walk import FoundFile
from ragstack.records import FileOutcome, FileStat, FileState, IngestReport
from ragstack.store.clock import now
from ragstack.store.sources import KnownFailure, KnownFile

if TYPE_CHECKING:
    from ragstack.loading.files import FileContent
    from ragstack.loading.guard import GuardedReaders
    from ragstack.store.protocols import ReadSession, WriteSession

_NOTHING = FileStat(size=0, mtime_ns=0, ctime_ns=0, inode=0)


@dataclass(slots=True)
class _Tally:
    """What the report is made of."""

    outcomes: list[FileOutcome] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)
    unchanged: int = 0
    chunks: int = 0
    embedded: int = 0


@dataclass(slots=True)
class Ingest:
    """The state of one ingest. Without a `writer` it is a dry run: everything is looked at, nothing is done.

    `read` gives a session on the store as it is at that moment, None while there is no store.
    `open_batch` is called when the first document must be chunked, so that an ingest that finds nothing to do
    never loads the embedder. `reading` turns bytes into documents within its limits, and `selection` says
    which files this run looks at. With `checksum` every file is read, whatever the file system says of it.
    """

    observer: IngestObserver
    writer: WriteSession | None
    read: Callable[[], AbstractContextManager[ReadSession | None]]
    open_batch: Callable[[], DocumentBatch]
    reading: GuardedReaders
    selection: Selection = EVERYTHING
    prune: bool | None = None
    checksum: bool = False
    excluded: Collection[Path] = ()
    _tally: _Tally = field(default_factory=_Tally)
    _batch: DocumentBatch | None = None
    _states: dict[tuple[int, str], tuple[FileState, str]] = field(default_factory=dict)
    _touched: dict[int, tuple[FileStat, int]] = field(default_factory=dict)
    _seen: set[Path] = field(default_factory=set)

    def run(self, paths: Sequence[Path]) -> IngestReport:
        """Ingest `paths`; IngestInterrupted carries the report when the user stops it."""
        started, started_at = time.monotonic(), now()
        try:
            for path in _folders_first(paths):
                self._ingest_path(path)
            self._finish(started_at)
        except KeyboardInterrupt:
            raise IngestInterrupted(self._report(started, interrupted=True)) from None
        finally:
            if self._batch is not None:
                self._batch.close()
        return self._report(started)

    # ------------------------------------------------------------------ one path

    def _survey(self, path: Path) -> Survey:
        """Make sure of the source first: a new one may take over documents that the survey must know of."""
        if self.writer is not None and path.exists():
            with self.read() as session:
                place, _ = place_at(session, path)
            self.writer.ensure_source(place)
        with self.read() as session:
            return survey(session, path, self.excluded, self.selection)

    def _ingest_path(self, path: Path) -> None:
        found = self._survey(path)
        self.observer.started(len(found.found))
        source_id = found.place.source_id or -1
        self._tally.skipped.extend(found.skipped.items())
        for name, reason in found.failed.items():
            self._fail(source_id, name, reason, _NOTHING)
        gone = {name: known for name, known in found.known.items() if found.is_vouched_absent(name)}
        by_content = {known.content_hash: known for known in gone.values()}
        for name, file in found.found.items():
            if file.absolute not in self._seen:
                self._seen.add(file.absolute)
                renamed = self._ingest_file(found, source_id, name, file, by_content)
                if renamed is not None:
                    del gone[renamed.path]
                    del by_content[renamed.content_hash]
        self._commit_waiting()
        self._remove(found, source_id, gone)

    def _ingest_file(
        self,
        found: Survey,
        source_id: int,
        name: str,
        file: FoundFile,
        gone: dict[str, KnownFile],
    ) -> KnownFile | None:
        """Bring one file in step; returns the vanished file that it turned out to be, if it did."""
        known, failure = found.known.get(name), found.failures.get(name)
        vouched = known is not None and is_unchanged(file, known)
        if vouched and not self.checksum:
            self._unchanged(name)
            return None
        if failure is not None and is_same_failure(file, failure) and not self.checksum:
            self._done(FileOutcome(name, FileState.FAILED, failure.reason))
            return None
        read_at_ns = time.time_ns()
        try:
            limits = self.reading.limits
            content = read_bytes(file.absolute, max_bytes=limits.file_bytes, beneath=file.root)
        except LoadingError as error:
            self._fail(source_id, name, error.message, file.stat)
            return None
        if known is not None and self._is_same_content(name, known, content):
            if not vouched:
                self._touched[known.document_id] = (content.stat, read_at_ns)
            self._unchanged(name)
            return None
        renamed = gone.get(content.sha256) if known is None else None
        replaced = known or renamed
        state = FileState.CHANGED if known else FileState.RENAMED if renamed else FileState.NEW
        reason = f"was {renamed.path}" if renamed else ""
        replaces = replaced.document_id if replaced else None
        read = self._read(source_id, name, content, read_at_ns, replaces, state, reason)
        return renamed if read else None

    def _is_same_content(self, name: str, known: KnownFile, content: FileContent) -> bool:
        return known.content_hash == content.sha256 and is_same_reader(
            name, known.reader, known.reader_version
        )

    def _read(
        self,
        source_id: int,
        name: str,
        content: FileContent,
        read_at_ns: int,
        replaces: int | None,
        state: FileState,
        reason: str,
    ) -> bool:
        """Extract, chunk and queue a file; returns whether it could be read."""
        if self.writer is None:
            self._done(FileOutcome(name, state, reason))
            return True
        try:
            document = self.reading.extract(content.data, name)
        except MissingExtraError as error:  # the file is to be tried again when the extra is installed
            self._fail(source_id, name, f"{error.message}: {error.hint}", _NOTHING)
            return False
        except LoadingError as error:
            self._fail(source_id, name, error.message, content.stat)
            return False
        self._states[source_id, name] = (state, reason)
        self._queue(
            PendingDocument(
                source_id=source_id,
                path=name,
                document=replace(document, title=document.title or title_from_path(name)),
                content_hash=content.sha256,
                stat=content.stat,
                read_at_ns=read_at_ns,
                replaces=replaces,
            )
        )
        return True

    def _queue(self, pending: PendingDocument) -> None:
        if self._batch is None:
            self._batch = self.open_batch()
        for committed in self._batch.add(pending):
            self._committed(committed)

    def _commit_waiting(self) -> None:
        if self._batch is not None:
            for committed in self._batch.flush():
                self._committed(committed)

    # ------------------------------------------------------------------- outcomes

    def _committed(self, committed: Committed) -> None:
        pending = committed.pending
        state, reason = self._states.pop((pending.source_id, pending.path))
        if committed.failure:
            self._fail(pending.source_id, pending.path, committed.failure, pending.stat)
            return
        self._tally.chunks += len(pending.chunks)
        self._tally.embedded += committed.embedded
        self._done(FileOutcome(pending.path, state, reason, len(pending.chunks), committed.embedded))

    def _unchanged(self, name: str) -> None:
        self._tally.unchanged += 1
        self.observer.file_done(FileOutcome(name, FileState.UNCHANGED))

    def _fail(self, source_id: int, name: str, reason: str, stat: FileStat) -> None:
        if self.writer is not None:
            reader, version = reader_identity(name)
            self.writer.record_failure(source_id, KnownFailure(name, reason, stat, reader, version))
        self._done(FileOutcome(name, FileState.FAILED, reason))

    def _done(self, outcome: FileOutcome) -> None:
        self._tally.outcomes.append(outcome)
        self.observer.file_done(outcome)

    # -------------------------------------------------------------------- removal

    def _remove(self, found: Survey, source_id: int, gone: dict[str, KnownFile]) -> None:
        """Remove what the walk proved to be gone, unless that is forbidden or suspiciously much."""
        if self.writer is not None:
            absent = [path for path in found.failures if found.is_vouched_absent(path)]
            if not found.missing or self.prune:
                self.writer.forget_failures(source_id, absent)
        if not gone:
            if found.missing and not found.known:
                self._done(FileOutcome(found.path.as_posix(), FileState.FAILED, "no such file or folder"))
            return
        refusal = self._refusal(found, len(gone))
        if refusal:
            self._tally.kept.extend((path, refusal) for path in gone)
            if found.missing:
                self._done(FileOutcome(found.path.as_posix(), FileState.FAILED, refusal))
            else:
                self.observer.warning(refusal)
            return
        if self.writer is not None:
            self.writer.remove_documents(known.document_id for known in gone.values())
        for path in gone:
            self._done(FileOutcome(path, FileState.REMOVED, found.skip_reason(path)))

    def _refusal(self, found: Survey, gone: int) -> str:
        """Why nothing is removed although files are gone, or an empty string."""
        if self.prune is True:
            return ""
        files = f"{gone:,} of {len(found.known):,} stored documents"
        if self.prune is False:
            return f"{files} are gone from `{found.path}`; kept because of `--no-prune`"
        if found.missing:
            return f"`{found.path}` does not exist; its {gone:,} stored documents are kept without `--prune`"
        if gone > PRUNE_AT_MOST * len(found.known):
            return f"{files} are gone from `{found.path}`, over half of them; kept without `--prune`"
        return ""

    # --------------------------------------------------------------------- ending

    def _finish(self, started_at: str) -> None:
        if self.writer is None:
            return
        self.writer.touch_documents(self._touched)
        if self._batch is not None:
            self.writer.publish(self._batch.generation, final=True)
        changed = {
            state.value: sum(outcome.state is state for outcome in self._tally.outcomes)
            for state in (FileState.NEW, FileState.CHANGED, FileState.RENAMED, FileState.REMOVED)
        }
        if any(changed.values()):
            failed = sum(outcome.state is FileState.FAILED for outcome in self._tally.outcomes)
            counts = changed | {"failed": failed, "embedded": self._tally.embedded}
            self.writer.record_run(started_at, counts)

    def _report(self, started: float, *, interrupted: bool = False) -> IngestReport:
        tally = self._tally
        return IngestReport(
            outcomes=tuple(tally.outcomes),
            unchanged=tally.unchanged,
            skipped=tuple(tally.skipped),
            chunks=tally.chunks,
            embedded=tally.embedded,
            reused=tally.chunks - tally.embedded,
            kept=tuple(tally.kept),
            interrupted=interrupted,
            dry_run=self.writer is None,
            seconds=time.monotonic() - started,
        )


def _folders_first(paths: Iterable[Path]) -> list[Path]:
    """The paths, resolved and without repetition; a folder comes before what lies inside it."""
    resolved = dict.fromkeys(_resolve(path) for path in paths)
    return sorted(resolved, key=lambda path: (path.is_file(), len(path.parts)))


def _resolve(path: Path) -> Path:
    """The absolute path without links: one that the user names is followed, unlike those inside a folder."""
    return path.expanduser().resolve()
