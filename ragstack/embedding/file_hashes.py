"""The sha256 of files, remembered between processes for files that have not changed.

Hashing the weights of a model at every start would cost more than answering a question, so the hash of a
large file is kept in the user's cache directory beside its size, times and inode. It is responsible for
hashes only, not for what they should be.

What is guaranteed: a returned hash was computed from the file's bytes, now or by an earlier process of this
user, and since then neither size, modification time, change time nor inode have changed. Replaced,
truncated and edited files are therefore hashed again. Decay of the disk that leaves all of these as they
were is not seen, and whoever can write to the user's cache directory can forge an entry.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from ragstack.records import FileStat

# Below this size hashing is as quick as looking the hash up.
REMEMBERED_FROM_BYTES = 4 * 1024 * 1024

# A file written within this time may be written again without its times changing (FAT counts in 2 seconds).
SETTLED_AFTER_NS = 2_000_000_000


def file_sha256(path: Path) -> str:
    """Hex sha256 of the bytes of `path`, with the guarantee that the module describes; raises `OSError`."""
    path = path.resolve()
    before = _stat(path)
    if before.size < REMEMBERED_FROM_BYTES:
        return _hash(path)
    known = _read_memory().get(str(path))
    if known is not None and known[:-1] == _as_list(before):
        return str(known[-1])
    digest = _hash(path)
    if _stat(path) == before and _is_settled(before):
        _remember(path, before, digest)
    return digest


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stat(path: Path) -> FileStat:
    found = path.stat()
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _as_list(stat: FileStat) -> list[int]:
    return [stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode]


def _is_settled(stat: FileStat) -> bool:
    return time.time_ns() - max(stat.mtime_ns, stat.ctime_ns) > SETTLED_AFTER_NS


def _memory_path() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("ragstack", appauthor=False) / "file-hashes.json"


def _read_memory() -> dict[str, list[Any]]:
    # An unreadable or garbled memory is an empty one: the files are then hashed, which is always right.
    try:
        memory = json.loads(_memory_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(memory, dict):
        return {}
    return {path: entry for path, entry in memory.items() if isinstance(entry, list) and len(entry) == 5}


def _remember(path: Path, stat: FileStat, digest: str) -> None:
    memory = {known: entry for known, entry in _read_memory().items() if Path(known).exists()}
    memory[str(path)] = [*_as_list(stat), digest]
    # A home that cannot be written to costs time, not correctness.
    with contextlib.suppress(OSError):
        _replace(_memory_path(), json.dumps(memory, indent=1))


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
