"""What lies under a path, beside what the store knows of it, and what may be told without reading a file.

Nothing here changes the store or reads the content of a file.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ragstack.errors import LoadingError
from ragstack.loading.readers import reader_for
from ragstack.loading.selection import EVERYTHING, Selection
from ragstack.loading.walk import FoundFile, discover
from ragstack.store.sources import (
    FILES,
    FOLDER,
    KnownFailure,
    KnownFile,
    Place,
    is_within,
    relative_to,
)

if TYPE_CHECKING:
    from ragstack.store.protocols import ReadSession

RACY_NS = 2_000_000_000
"""A file modified this shortly before it was read may have changed again within its clock's resolution."""

PRUNE_AT_MOST = 0.5
"""An ingest that would remove a greater share of what is stored of a folder needs to be told to."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What lies under one given path, beside what the store knows of it; all paths are within the source.

    `found` are the files to look at, `failed` the entries that cannot be ingested and why, `unlisted` the
    folders whose content could not be seen. A `missing` path does not exist (any more).
    """

    path: Path
    place: Place
    found: dict[str, FoundFile]
    known: dict[str, KnownFile]
    failures: dict[str, KnownFailure]
    failed: dict[str, str]
    unlisted: tuple[str, ...]
    skipped: dict[str, str]
    missing: bool = False
    selection: Selection = EVERYTHING
    folder: str = ""

    def is_vouched_absent(self, path: str) -> bool:
        """Whether the walk proves that there is no such file any more, or that it is now ignored."""
        if path in self.found or path in self.failed:
            return False
        if self.selection.reason(relative_to(path, self.folder) if self.folder else path) is not None:
            return False  # this run does not look at it
        return not any(not folder or is_within(path, folder) for folder in self.unlisted)

    def skip_reason(self, path: str) -> str:
        """Why a file that exists is left out, or an empty string; a skipped folder covers what is in it."""
        for skipped, reason in self.skipped.items():
            if is_within(path, skipped):
                return reason
        return ""


def survey(
    session: ReadSession | None,
    path: Path,
    excluded: Collection[Path],
    selection: Selection = EVERYTHING,
) -> Survey:
    """Walk the resolved `path` and put what is there beside what the store knows (nothing without one)."""
    exists = path.exists()
    place, is_folder = place_at(session, path)
    known: dict[str, KnownFile] = {}
    failures: dict[str, KnownFailure] = {}
    if session is not None and place.source_id is not None:
        known = session.known_files(place.source_id, place.prefix)
        failures = session.known_failures(place.source_id, place.prefix)
    if not exists:
        return Survey(path, place, {}, known, failures, {}, (), {}, missing=True)
    folder = place.prefix if is_folder else _parent(place.prefix)
    stats = {relative_to(name, folder) if folder else name: file.stat for name, file in known.items()}
    discovery = discover(path, excluded=excluded, known=stats, selection=selection)
    return Survey(
        path=path,
        place=place,
        found={_join(folder, found.path): found for found in discovery.files},
        known=known,
        failures=failures,
        failed={_join(folder, failed.path): failed.reason for failed in discovery.failed},
        unlisted=tuple(_join(folder, prefix.rstrip("/")) for prefix in discovery.unlisted),
        skipped={_join(folder, item.path.rstrip("/")): item.reason for item in discovery.skipped},
        selection=selection,
        folder=folder,
    )


def place_at(session: ReadSession | None, path: Path) -> tuple[Place, bool]:
    """Where `path` belongs, and whether it is a folder; a vanished path is what the store knows it as."""
    name = path.as_posix()
    is_file = path.exists() and not path.is_dir()
    if session is None:
        if is_file:
            return Place(None, FILES, path.parent.as_posix(), path.name), False
        return Place(None, FOLDER, name, ""), True
    place = session.place_of(name, is_folder=not is_file)
    if not is_file and place.source_id is None and not path.exists():
        as_file = session.place_of(name, is_folder=False)
        if as_file.source_id is not None:
            return as_file, False
    return place, not is_file


def _parent(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent


def _join(folder: str, path: str) -> str:
    if path in ("", "."):
        return folder
    return f"{folder}/{path}" if folder else path


def is_unchanged(found: FoundFile, known: KnownFile) -> bool:
    """Whether the file system vouches, without reading the file, that it is what the store holds."""
    if known.stale_reason is not None or found.stat != known.stat:
        return False
    if known.read_at_ns - known.stat.mtime_ns < RACY_NS:
        return False
    return is_same_reader(found.path, known.reader, known.reader_version)


def is_same_failure(found: FoundFile, failure: KnownFailure) -> bool:
    """Whether neither the file nor its reader changed since it could not be read."""
    return found.stat == failure.stat and is_same_reader(found.path, failure.reader, failure.reader_version)


def is_same_reader(path: str, name: str, version: int) -> bool:
    """Whether the reader for `path` is still the one of that name and version."""
    return reader_identity(path) == (name, version)


def reader_identity(path: str) -> tuple[str, int]:
    """Name and version of the reader for `path`, ("", 0) when there is none."""
    try:
        reader = reader_for(path)
    except LoadingError:
        return "", 0
    return reader.name, reader.version


def title_from_path(path: str) -> str | None:
    """A title for a document that has none: its file's name in words, unless that holds no letter."""
    title = " ".join(PurePosixPath(path).stem.replace("_", " ").replace("-", " ").split())
    return title if any(letter.isalpha() for letter in title) else None
