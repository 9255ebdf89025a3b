"""Durable files and the writer's lock: everything the store does with the file system besides SQLite.

A file is written under a name that never existed, checked, and synced together with its directory before
anybody may refer to it. POSIX-only steps are skipped where the platform has none of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ragstack.errors import StoreLockedError
from ragstack.store.failpoints import reached

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
LOCK_FILE = "write.lock"
HOLDER_FILE = "write.pid"


def make_private_directory(path: Path) -> None:
    """Create `path` with its parents so that they survive a power failure; only its owner may enter it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    for folder in missing:
        sync_directory(folder.parent)


@dataclass(slots=True)
class NewFile:
    """A file that is being written, part by part: how many bytes it has so far, and their sha256."""

    _descriptor: int
    size: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def write(self, part: bytes | memoryview) -> None:
        """Append `part`; OSError if a byte could not be written."""
        _write_all(self._descriptor, memoryview(part))
        self._digest.update(part)
        self.size += len(part)

    @property
    def sha256(self) -> str:
        """The hash of what was written."""
        return self._digest.hexdigest()


@contextmanager
def writing_durably(path: Path) -> Iterator[NewFile]:
    """Write a new file so that it survives a power failure, once the block ends.

    Raises FileExistsError if the name is taken and OSError if a byte could not be written; what was written
    of the file is removed then, as it is when the block raises.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        try:
            reached("file created")
            file = NewFile(descriptor)
            yield file
            reached("file written")
            _sync(descriptor)
            reached("file synced")
            if os.fstat(descriptor).st_size != file.size:
                raise OSError(f"wrote {os.fstat(descriptor).st_size} of {file.size} bytes to {path}")
        finally:
            os.close(descriptor)
        sync_directory(path.parent)
        reached("directory synced")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write_all(descriptor: int, data: memoryview) -> None:
    at = 0
    while at < len(data):
        at += os.write(descriptor, data[at : at + (16 << 20)])


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_directory(path: Path) -> None:
    """Make created, renamed and removed names in `path` durable (Windows does that by itself)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writer_lock(directory: Path, *, wait_seconds: float) -> Iterator[None]:
    """Hold the right to write the store in `directory`.

    The lock belongs to the operating system and ends with the process. Raises StoreLockedError, naming the
    holder's pid, when another process still holds it after `wait_seconds`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(directory / LOCK_FILE, mode=FILE_MODE, thread_local=False)
    try:
        lock.acquire(timeout=wait_seconds, poll_interval=0.05)
    except Timeout:
        raise StoreLockedError(
            f"the store is being written by {_holder(directory)}",
            hint=f"wait for it to end and run the command again; `{directory}` can be read meanwhile",
        ) from None
    try:
        (directory / HOLDER_FILE).write_text(f"{os.getpid()}\n", encoding="ascii")
        yield
    finally:
        with contextlib.suppress(OSError):
            (directory / HOLDER_FILE).unlink(missing_ok=True)
        lock.release()


def _holder(directory: Path) -> str:
    try:
        return f"process {int((directory / HOLDER_FILE).read_text(encoding='ascii'))}"
    except (OSError, ValueError):
        return "another process"
