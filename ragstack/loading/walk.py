"""Finds the documents of a folder, or takes the one file that was named, and accounts for everything else.

Links are not followed, hidden, ignored, binary and unsupported files are skipped with a reason, and whatever
the system refuses to show is reported, so that the caller knows what it must not take for deleted. Files are
judged by name and by their first bytes; reading and parsing them is left to `files` and `readers`.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragstack.errors import LoadingError
from ragstack.loading.encoding import decode
from ragstack.loading.files import file_stat, is_link, os_reason, read_bytes, read_head, stat_file
from ragstack.loading.ignore import GIT_RULES, OWN_RULES, IgnoreRules, parse_rules
from ragstack.loading.readers import find_reader, unsupported_reason
from ragstack.loading.selection import EVERYTHING, Selection
from ragstack.loading.signatures import recognise
from ragstack.records import FileStat

_SNIFFED_BYTES = 4096
_MAX_IGNORE_FILE_BYTES = 1024 * 1024
_WIDE_MARKS = (
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x00\x00\xfe\xff",
)  # UTF-16 and -32, whose text is full of NUL bytes


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to ingest: its path within the root (`/` between parts, NFC), where it is, and its stat."""

    path: str
    absolute: Path
    stat: FileStat

    @property
    def root(self) -> Path:
        """The folder that `path` is within."""
        return self.absolute.parents[self.path.count("/")]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or a whole folder (`/` at its end) that the rules leave out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An entry that ought to be ingested and cannot be, or a folder that cannot be listed, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """Everything that a walk came across.

    `root` is resolved; for a single file it is the folder of the file. `unlisted` are the prefixes (`notes/`,
    or nothing for the whole root) beneath which files may exist that the walk could not see.
    """

    root: Path
    files: tuple[FoundFile, ...]
    skipped: tuple[Skipped, ...] = ()
    failed: tuple[Failed, ...] = ()
    unlisted: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every folder could be listed, so that a file not found is not there."""
        return not self.unlisted


def discover(
    path: Path,
    *,
    excluded: Collection[Path] = (),
    known: Mapping[str, FileStat] | None = None,
    selection: Selection = EVERYTHING,
) -> Discovery:
    """The files to ingest in a folder, or the one file that `path` names.

    `excluded` are folders that are never walked: the store itself. `known` are stats by path of files that
    were read before; such a file is not opened while its stat is the same. What is named itself is never
    filtered by the ignore rules, and may be a link; a file that is named and cannot be read is a failure.
    `selection` holds for it too.
    Raises LoadingError when there is nothing at `path`, or it lies in an excluded folder.
    """
    target = _resolved(path)
    _refuse_excluded(path, target, excluded)
    if target.is_dir():
        return _Walk(target, _identities(excluded), known or {}, selection).run()
    return _single_file(target, selection)


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links, before Python 3.13
        reason = os_reason(error) if isinstance(error, OSError) else "not a possible path"
        raise LoadingError(
            f"cannot read {str(path)!a}: {reason}", hint="check the path; a drive may not be mounted"
        ) from error


def _refuse_excluded(path: Path, target: Path, excluded: Collection[Path]) -> None:
    for folder in excluded:
        if target.is_relative_to(folder.resolve()):
            raise LoadingError(
                f"`{path}` belongs to a store and is never ingested", hint="name a folder of documents"
            )


def _identities(folders: Collection[Path]) -> frozenset[tuple[int, int]]:
    """Device and inode of each folder that exists: names differ by letter case and mounts, these do not."""
    identities = set()
    for folder in folders:
        try:
            result = folder.stat()
        except OSError:  # a store that is not there yet cannot be walked into
            continue
        identities.add((result.st_dev, result.st_ino))
    return frozenset(identities)


def _single_file(target: Path, selection: Selection) -> Discovery:
    name = _escaped(target.name)
    left_out = selection.reason(name)
    if left_out is not None:
        return Discovery(target.parent, (), skipped=(Skipped(name, left_out),))
    try:
        reason = _undecodable(target.name) or _hard_linked(os.lstat(target), selection) or _unreadable(target)
        if reason is None:
            return Discovery(target.parent, (FoundFile(name, target, stat_file(target)),))
    except OSError as error:
        reason = os_reason(error)
    except LoadingError as error:
        reason = error.message
    return Discovery(target.parent, (), failed=(Failed(name, reason),))


def _hard_linked(result: os.stat_result, selection: Selection) -> str | None:
    """Why a file that has other names too is refused, or None."""
    if selection.hard_links or result.st_nlink < 2 or not stat.S_ISREG(result.st_mode):
        return None
    return "has other names (hard links), which `--no-hardlinks` refuses"


def _unreadable(path: Path) -> str | None:
    """Why no reader can make text of this file, or None."""
    return unsupported_reason(path.name) if find_reader(path.name) is None else _binary_reason(path)


@dataclass(slots=True)
class _Walk:
    """One walk over a folder: what it has found so far, and the folders still to be listed.

    Beside each file stands whether its name is in NFC as it is on the disk.
    """

    root: Path
    excluded: frozenset[tuple[int, int]]
    known: Mapping[str, FileStat]
    selection: Selection
    files: list[tuple[FoundFile, bool]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    waiting: list[tuple[str, IgnoreRules]] = field(default_factory=list)

    def run(self) -> Discovery:
        self.waiting.append(("", IgnoreRules()))
        while self.waiting:
            self._list(*self.waiting.pop())
        return Discovery(
            root=self.root,
            files=self._distinct_files(),
            skipped=tuple(sorted(self.skipped, key=lambda entry: entry.path)),
            failed=tuple(sorted(self.failed, key=lambda entry: entry.path)),
            unlisted=tuple(sorted(self.unlisted)),
        )

    def _list(self, folder: str, rules: IgnoreRules) -> None:
        """List one folder (`notes/`): note its files, put its folders on the waiting list."""
        try:
            with os.scandir(self._absolute(folder)) as listing:
                entries = list(listing)
        except OSError as error:
            self._cannot_list(folder, os_reason(error))
            return
        names = {entry.name for entry in entries}
        if folder and "pyvenv.cfg" in names:
            self.skipped.append(Skipped(_nfc(folder), "a Python virtual environment"))
            return
        for name in (GIT_RULES, OWN_RULES):
            if name in names:
                rules = self._with_rules(rules, folder, name)
        for entry in entries:
            self._take(entry, folder, rules)

    def _take(self, entry: os.DirEntry[str], folder: str, rules: IgnoreRules) -> None:
        raw = folder + entry.name
        reason = _undecodable(entry.name)
        if reason is not None:
            self.failed.append(Failed(_escaped(raw), reason))
            return
        path = _nfc(raw)
        try:
            if is_link(entry):
                self.skipped.append(Skipped(path, "a symbolic link"))
            elif entry.is_dir(follow_symlinks=False):
                self._take_folder(entry, raw + "/", rules)
            else:
                self._take_file(entry, raw, path, rules)
        except FileNotFoundError:
            return  # deleted since the folder was listed, so it is not there
        except OSError as error:
            self.failed.append(Failed(path, os_reason(error)))
            self.unlisted.append(path + "/")  # it may be a folder
        except LoadingError as error:
            self.failed.append(Failed(path, error.message))

    def _take_folder(self, entry: os.DirEntry[str], raw: str, rules: IgnoreRules) -> None:
        path = _nfc(raw)
        reason = rules.reason(path) or self.selection.reason(path)
        if reason is None and self.excluded:
            result = os.lstat(entry.path)
            if (result.st_dev, result.st_ino) in self.excluded:
                reason = "the store"
        if reason is not None:
            self.skipped.append(Skipped(path, reason))
        else:
            self.waiting.append((raw, rules))

    def _take_file(self, entry: os.DirEntry[str], raw: str, path: str, rules: IgnoreRules) -> None:
        reason = rules.reason(path) or self.selection.reason(path)
        if reason is None and not entry.is_file(follow_symlinks=False):
            reason = "not a regular file"
        if reason is not None:
            self.skipped.append(Skipped(path, reason))
            return
        absolute = Path(entry.path)
        result = os.lstat(entry.path)
        refusal = _hard_linked(result, self.selection)
        if refusal is not None:
            self.failed.append(Failed(path, refusal))
            return
        found = file_stat(result)
        if self.known.get(path) != found:
            reason = _unreadable(absolute)
        if reason is not None:
            self.skipped.append(Skipped(path, reason))
        else:
            self.files.append((FoundFile(path, absolute, found), path == raw))

    def _with_rules(self, rules: IgnoreRules, folder: str, name: str) -> IgnoreRules:
        """The rules and those of an ignore file in this folder; one that cannot be read is a failure."""
        path = folder + name
        try:
            content = read_bytes(Path(self._absolute(path)), max_bytes=_MAX_IGNORE_FILE_BYTES)
        except LoadingError as error:
            self.failed.append(Failed(_escaped(path), f"ignore rules not applied: {error.message}"))
            return rules
        more, complaints = parse_rules(_nfc(folder), name, decode(content.data))
        self.skipped.extend(Skipped(_escaped(path), complaint) for complaint in complaints)
        return rules.beneath(more)

    def _distinct_files(self) -> tuple[FoundFile, ...]:
        """The files by path; of two whose names differ only in normalisation, the composed one is kept."""
        distinct: list[FoundFile] = []
        for file, _ in sorted(self.files, key=lambda pair: (pair[0].path, not pair[1])):
            if distinct and file.path == distinct[-1].path:
                name = file.path.rpartition("/")[0] + "/" + ascii(file.absolute.name)[1:-1]
                reason = "another file has this name in another Unicode normalisation"
                self.failed.append(Failed(name.lstrip("/"), reason))
            else:
                distinct.append(file)
        return tuple(distinct)

    def _cannot_list(self, folder: str, reason: str) -> None:
        self.failed.append(Failed(_escaped(folder) or ".", f"cannot be listed: {reason}"))
        self.unlisted.append(_nfc(folder))

    def _absolute(self, relative: str) -> str:
        return os.path.join(self.root, relative)  # noqa: PTH118 - joined 100,000 times, and scandir takes text


def _binary_reason(path: Path) -> str | None:
    """Why a file is no text although its name says so, or None.

    A file of another known format is let through: its reader refuses it by the name of that format.
    """
    reader = find_reader(path.name)
    if reader is None or not reader.is_text:
        return None
    head = read_head(path, _SNIFFED_BYTES)
    if b"\0" not in head or head.startswith(_WIDE_MARKS) or recognise(head) is not None:
        return None
    return "binary: it holds NUL bytes"


def _undecodable(name: str) -> str | None:
    return None if _is_encodable(name) else "the name is not valid Unicode"


def _is_encodable(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def _escaped(path: str) -> str:
    """The path, with bytes that are no text in hexadecimal."""
    if _is_encodable(path):
        return _nfc(path)
    return _nfc(os.fsencode(path).decode("utf-8", errors="backslashreplace"))


def _nfc(path: str) -> str:
    return path if path.isascii() else unicodedata.normalize("NFC", path)
