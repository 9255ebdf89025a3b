"""Opens and reads single files of a folder that nobody vouches for: no links, no pipes, no devices.

Every guard that only some operating systems have lives here. Where `O_NOFOLLOW` is missing (Windows) a link
is looked for just before the file is opened, which a process that swaps the file at that moment can defeat.
This module does not look for files (`walk`) and does not interpret their content (`readers`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ragstack.errors import LoadingError
from ragstack.loading.limits import DEFAULT_LIMITS
from ragstack.records import FileStat

MAX_FILE_BYTES = DEFAULT_LIMITS.file_bytes
"""Largest file that is read unless the caller says otherwise."""

_READ_BLOCK = 1024 * 1024
_ATTEMPTS = 3
_PAUSE_BETWEEN_ATTEMPTS = 0.05

_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)
_OPENS_STEP_BY_STEP = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")


@dataclass(frozen=True, slots=True)
class FileContent:
    """The bytes of a file, their hex sha256, and the stat that held before and after they were read."""

    data: bytes
    sha256: str
    stat: FileStat


def stat_file(path: Path) -> FileStat:
    """What the file system says of a regular file; a link is not followed.

    Raises LoadingError when there is no such file, or it is not a regular one.
    """
    with _reasons(path):
        return _regular(os.lstat(path), path)


def read_bytes(path: Path, *, max_bytes: int = MAX_FILE_BYTES, beneath: Path | None = None) -> FileContent:
    """All bytes of a regular file, as they were at one moment.

    A file that changes while it is read is read again. With `beneath`, a folder above it, no folder between
    the two may be a link, not even one that was put there a moment ago. Raises LoadingError when the file
    keeps changing, is larger than `max_bytes`, is a link or not a regular file, or cannot be read.
    """
    with _reasons(path):
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_BETWEEN_ATTEMPTS)
            content = _read_once(path, max_bytes, beneath)
            if content is not None:
                return content
    raise LoadingError("changed while it was read", hint="ingest it again when nothing writes to it")


def read_head(path: Path, length: int) -> bytes:
    """The first `length` bytes of a regular file, fewer if it is shorter; raises LoadingError."""
    with _reasons(path):
        descriptor = _open(path)
        try:
            _regular(os.fstat(descriptor), path)
            return os.read(descriptor, length)
        finally:
            os.close(descriptor)


def is_link(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a folder leads elsewhere: a symbolic link, or a junction on Windows."""
    is_junction: Callable[[], bool] | None = getattr(entry, "is_junction", None)  # since Python 3.12
    return entry.is_symlink() or (is_junction is not None and is_junction())


def file_stat(result: os.stat_result) -> FileStat:
    """The part of a stat result by which an unchanged file is told."""
    return FileStat(
        size=result.st_size,
        mtime_ns=result.st_mtime_ns,
        ctime_ns=result.st_ctime_ns,
        inode=result.st_ino,
    )


def os_reason(error: OSError) -> str:
    """Why the system refused, in the words that a user sees."""
    if error.errno == errno.ELOOP:
        return "is a symbolic link"
    return _REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())


_REASONS = {
    errno.ENOENT: "no such file",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENXIO: "not a regular file",
    errno.ENAMETOOLONG: "the path is too long",
}


def _read_once(path: Path, max_bytes: int, beneath: Path | None) -> FileContent | None:
    """The content, or None when the file changed meanwhile."""
    descriptor = _open(path) if beneath is None else _open_beneath(beneath, path)
    try:
        before = _regular(os.fstat(descriptor), path)
        if before.size > max_bytes:
            raise _too_large(before.size, max_bytes)
        data = _read_at_most(descriptor, before.size + 1)
        after = file_stat(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    if after != before or len(data) != before.size:
        return None
    return FileContent(data, hashlib.sha256(data).hexdigest(), before)


def _open(path: Path) -> int:
    if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
        raise OSError(errno.ELOOP, "is a symbolic link")
    return os.open(path, _OPEN_FLAGS)


def _open_beneath(root: Path, path: Path) -> int:
    """Open `path` folder by folder from `root` on, each held open while the next is looked up in it."""
    if not _OPENS_STEP_BY_STEP:
        return _open(path)
    *folders, name = path.relative_to(root).parts
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(folder, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        return os.open(name, _OPEN_FLAGS, dir_fd=descriptor)
    except NotADirectoryError as error:  # what Linux says of a link that stands where a folder was
        raise LoadingError("a folder on the way to it became a link while it was read") from error
    finally:
        os.close(descriptor)


def _regular(result: os.stat_result, path: Path) -> FileStat:
    if stat.S_ISDIR(result.st_mode):
        raise LoadingError("is a folder", hint=f"name a file in `{path.name}`")
    if stat.S_ISLNK(result.st_mode):
        raise LoadingError("is a symbolic link")
    if not stat.S_ISREG(result.st_mode):
        raise LoadingError("not a regular file")
    return file_stat(result)


def _read_at_most(descriptor: int, limit: int) -> bytes:
    """Bytes up to `limit`: one more than the file had, so that a growing one is noticed and not chased."""
    blocks = []
    left = limit
    while left > 0:
        block = os.read(descriptor, min(left, _READ_BLOCK))
        if not block:
            break
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


def _too_large(size: int, limit: int) -> LoadingError:
    return LoadingError(
        f"{_mebibytes(size)} is larger than the limit of {_mebibytes(limit)}",
        hint="split the file",
    )


def _mebibytes(size: int) -> str:
    if size < 1024 * 1024:
        return f"{size:,} bytes"
    return f"{size / (1024 * 1024):,.0f} MiB"


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Turn what the system raises into a LoadingError that says why."""
    try:
        yield
    except OSError as error:
        raise LoadingError(os_reason(error)) from error
    except ValueError as error:  # a NUL in the name
        raise LoadingError(f"not a possible file name: {path.name!a}") from error
