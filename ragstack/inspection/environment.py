"""Checks of what every store depends on: SQLite, faiss, OpenMP, and the place where the store lies.

Only the probe of write-ahead logging writes, into a folder of its own that it removes again.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ragstack.inspection.checks import Check, Status, made

OLDEST_FAISS = (1, 12)
"""The oldest faiss that ragstack is tested with; `pyproject.toml` asks for it too."""

CHECKING_FAISS = (1, 15)
"""Since then faiss checks what an index file claims of itself (its change log, 1.14.2 to 1.15.0)."""

LEAST_FREE_BYTES = 100_000_000
"""With less free space than this, an ingest of a few documents may fail."""

NETWORK_FILE_SYSTEMS = frozenset(
    "9p afpfs afs beegfs ceph cifs davfs fuse.ceph fuse.davfs fuse.davfs2 fuse.gcsfuse fuse.glusterfs "
    "fuse.goofys fuse.rclone fuse.s3fs fuse.smbnetfs fuse.sshfs glusterfs gpfs lustre ncpfs nfs nfs3 nfs4 "
    "osxfuse.sshfs smb smb2 smb3 smbfs sshfs webdav".split()
)
"""Types of file systems whose files other machines may change (9p: the host of a virtual machine).

SQLite's write-ahead log needs memory shared by all who open it (https://sqlite.org/wal.html).
"""

# The affected versions are 3.7.0 to 3.51.2; these older branches got the fix as well
# (https://sqlite.org/wal.html).
_WAL_RESET_FIXED = (3, 51, 3)
_WAL_RESET_BACKPORTS = {(3, 44): 6, (3, 50): 7}

_OPENMP = re.compile(r"(libgomp|libomp|libiomp5|vcomp\d+)[^/\\]*$")
_TOKENIZER = "porter unicode61 remove_diacritics 2"  # as the store's full-text table has it
_SERIALIZED = 3  # sqlite3.threadsafety, by PEP 249
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


# ------------------------------------------------------------------------ libraries


def library_checks() -> list[Check]:
    """SQLite and faiss; what the checks load is counted by `openmp_runtimes` afterwards."""
    return [
        made("SQLite", sqlite_version),
        made("threads", sqlite_threads),
        made("full text", full_text_search),
        made("faiss", vector_library),
    ]


def sqlite_version() -> Check:
    """Whether this SQLite has the WAL-reset bug, by which two racing writers can damage a database."""
    version = sqlite3.sqlite_version_info
    text = ".".join(map(str, version))
    if not has_wal_reset_bug(version):
        return Check("SQLite", Status.OK, text)
    return Check(
        "SQLite",
        Status.WARNING,
        f"{text} has the WAL-reset bug, which damages a database when two processes write at once;"
        " ragstack's writer lock lets only one write",
        "let no other program write to the store; use a Python with SQLite 3.51.3 or later",
    )


def has_wal_reset_bug(version: Sequence[int]) -> bool:
    """Whether an SQLite of this version (major, minor, patch) has the bug."""
    major, minor, patch = version
    backport = _WAL_RESET_BACKPORTS.get((major, minor))
    if backport is not None and patch >= backport:
        return False
    return (3, 7, 0) <= (major, minor, patch) < _WAL_RESET_FIXED


def sqlite_threads() -> Check:
    """Whether SQLite may be used from several threads."""
    level = sqlite3.threadsafety
    if level == _SERIALIZED:
        return Check("threads", Status.OK, "SQLite is compiled for use from several threads (serialized)")
    if level:
        detail = "SQLite is compiled without locks of its own: a connection must stay in one thread at a time"
        return Check("threads", Status.WARNING, detail, "do not share one snapshot between threads")
    remedy = "use a Python whose `sqlite3.threadsafety` is not 0"
    return Check("threads", Status.PROBLEM, "SQLite is compiled for a single thread", remedy)


def full_text_search() -> Check:
    """Whether SQLite has FTS5 with the tokenizer that the store uses."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(f"CREATE VIRTUAL TABLE t USING fts5(x, tokenize = '{_TOKENIZER}')")
            connection.execute("INSERT INTO t VALUES ('searching')")
            found = connection.execute("SELECT count(*) FROM t WHERE t MATCH 'searches'").fetchone()[0]
        except sqlite3.Error as error:
            remedy = "use a Python whose SQLite is compiled with FTS5"
            return Check("full text", Status.PROBLEM, f"SQLite has no usable FTS5: {error}", remedy)
    if found != 1:
        return Check("full text", Status.PROBLEM, "SQLite's FTS5 does not find a word that it was given")
    return Check("full text", Status.OK, "SQLite has FTS5")


def vector_library() -> Check:
    """Whether faiss can be loaded, finds the nearest of two vectors, and is new enough."""
    import numpy as np

    from ragstack.store import vectors

    remedy = "run `pip install --upgrade faiss-cpu`"
    try:
        rows = np.eye(2, dtype=np.float32)
        segment = vectors.build_segment(np.array([7, 8], np.int64), rows)
        found = segment.search(rows[1], 1)
    except ImportError as error:
        return Check("faiss", Status.PROBLEM, f"it cannot be loaded: {error}", remedy)
    version = str(sys.modules["faiss"].__version__)
    if found != [(8, 1.0)]:
        return Check("faiss", Status.PROBLEM, f"{version} does not find the nearest of two vectors", remedy)
    found_version = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if found_version < OLDEST_FAISS:
        oldest = ".".join(map(str, OLDEST_FAISS))
        return Check("faiss", Status.PROBLEM, f"{version} is older than {oldest}", remedy)
    if found_version < CHECKING_FAISS:
        detail = f"{version} hardly checks index files; ragstack gives it only those that have their sha256"
        return Check("faiss", Status.WARNING, detail, remedy)
    return Check("faiss", Status.OK, version)


def openmp_runtimes() -> Check:
    """Whether several OpenMP runtimes are loaded into this process, as faiss and torch each bring one."""
    paths = _loaded_libraries()
    if paths is None:
        return Check("OpenMP", Status.OK, "which runtimes are loaded cannot be told on this system")
    found = sorted({(match[1], path) for path in paths if (match := _OPENMP.search(path))})
    kinds = sorted({kind for kind, _ in found})
    loaded = f"{len(found)} loaded" + (f" ({', '.join(kinds)})" if kinds else "")
    if "torch" not in sys.modules:
        loaded += "; torch is not: `ragstack doctor --thorough` loads it"
    # Copies of libgomp beside each other are the rule on Linux, and work; other mixtures may end the process.
    if len(found) < 2 or (sys.platform == "linux" and kinds == ["libgomp"]):
        return Check("OpenMP", Status.OK, loaded)
    return Check(
        "OpenMP",
        Status.WARNING,
        f"{loaded}: {', '.join(path for _, path in found)}",
        "if ragstack crashes or hangs, set `OMP_NUM_THREADS=1`, or install torch and faiss from one source",
    )


def _loaded_libraries() -> list[str] | None:
    """Paths of the files mapped into this process; None where the system does not say."""
    psutil: Any = import_module("psutil")  # it carries no types
    process = psutil.Process()
    if not hasattr(process, "memory_maps"):
        return None
    try:
        return [str(mapped.path) for mapped in process.memory_maps()]
    except (psutil.Error, OSError):
        return None


# ---------------------------------------------------------------------------- place


def place_checks(directory: Path) -> list[Check]:
    """Where the store lies: file system, permissions, space, and whether SQLite can write there."""
    return [
        made("file system", partial(file_system, directory)),
        made("permissions", partial(permissions, directory)),
        made("free space", partial(free_space, directory)),
        made("write-ahead log", partial(write_ahead_log, directory)),
    ]


def file_system(directory: Path) -> Check:
    """Whether the store is on this machine's own disk."""
    kind = _file_system_of(directory.resolve())
    if kind is None:
        return Check("file system", Status.OK, "of a kind that the system does not tell")
    if kind not in NETWORK_FILE_SYSTEMS:
        return Check("file system", Status.OK, kind)
    return Check(
        "file system",
        Status.PROBLEM,
        f"`{directory}` is on a network file system ({kind}), where SQLite's locks and log are not safe",
        "run `ragstack backup DIR`, DIR being on a local disk, and use that with `--store DIR`",
    )


def _file_system_of(path: Path) -> str | None:
    """The type of the file system that holds the resolved `path`, in small letters; None if unknown."""
    if path.drive.startswith("\\\\"):
        return "smb"
    psutil: Any = import_module("psutil")  # it carries no types
    kind, depth = None, -1
    for mount in psutil.disk_partitions(all=True):
        place = Path(mount.mountpoint)
        # Of several mounts on one directory the last one is seen.
        if path.is_relative_to(place) and len(place.parts) >= depth:
            kind = "smb" if "remote" in mount.opts.split(",") else mount.fstype.lower()
            depth = len(place.parts)
    return kind


def permissions(directory: Path) -> Check:
    """Whether the store, which holds the texts of all documents, is closed to other users."""
    if os.name != "posix":
        return Check("permissions", Status.OK, "the access lists of the folder decide; not checked here")
    mode = stat.S_IMODE(directory.stat().st_mode)
    if not mode & _OTHERS:
        return Check("permissions", Status.OK, f"only you may enter (0{mode:o})")
    modes = {path: found.st_mode for path, found in files_in(directory).items()}
    remedy = f"run `chmod -R go-rwx {shlex.quote(str(directory))}`"
    for path, found in {directory: mode, **modes}.items():
        if found & _OTHERS_WRITE:
            return Check("permissions", Status.PROBLEM, f"other users may write to `{path}`", remedy)
    readable = sum(bool(found & _OTHERS) for found in modes.values())
    detail = f"other users may enter `{directory}` (0{mode:o}) and read {readable:,} of its files"
    return Check("permissions", Status.WARNING, detail, remedy)


def free_space(directory: Path) -> Check:
    """Whether there is room for what repair, purge and backup write: the store once more, and some."""
    free = shutil.disk_usage(directory).free
    used = bytes_in(directory)
    detail = f"{_readable(free)} free, the store takes {_readable(used)}"
    remedy = "free some space, or move the store to a larger disk"
    if free < LEAST_FREE_BYTES:
        return Check("free space", Status.PROBLEM, f"only {_readable(free)} free", remedy)
    if free < 2 * used:
        detail += ": too little for repair, purge and re-embedding, which need twice as much for a while"
        return Check("free space", Status.WARNING, detail, remedy)
    return Check("free space", Status.OK, detail)


def _readable(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def write_ahead_log(directory: Path) -> Check:
    """Whether SQLite can keep a write-ahead log in the store's directory: written, and read by another."""
    remedy = "move the store to a local disk that you may write to"
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=directory) as folder:
            mode, read = _probe(Path(folder) / "probe.db")
    except (OSError, sqlite3.Error) as error:
        return Check("write-ahead log", Status.PROBLEM, f"`{directory}` cannot be written: {error}", remedy)
    if mode != "wal" or read != 1:
        detail = f"SQLite cannot keep a write-ahead log in `{directory}` (journal mode is `{mode}`)"
        return Check("write-ahead log", Status.PROBLEM, detail, remedy)
    return Check("write-ahead log", Status.OK, "a probe was written, and read by a second connection")


def _probe(path: Path) -> tuple[str, int]:
    """The journal mode that SQLite grants, and how many rows a second connection reads of one."""
    with closing(sqlite3.connect(path)) as writer, closing(sqlite3.connect(path)) as reader:
        mode = str(writer.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        writer.execute("CREATE TABLE probe(x)")
        writer.execute("INSERT INTO probe VALUES (1)")
        writer.commit()
        return mode, int(reader.execute("SELECT count(*) FROM probe").fetchone()[0])


def files_in(folder: Path) -> dict[Path, os.stat_result]:
    """Every file beneath a folder, but for those that another process removes at this moment."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            if path.is_file():
                found[path] = path.stat()
    return found


def bytes_in(folder: Path) -> int:
    """Size of all files beneath a folder."""
    return sum(found.st_size for found in files_in(folder).values())
