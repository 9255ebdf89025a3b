"""The checks of libraries and place, each on a machine where it is fine and on one where it is not."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from ragstack.inspection import environment
from ragstack.inspection.checks import Status, made
from ragstack.store import vectors

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

GOOD = {(3, 6, 23), (3, 44, 6), (3, 44, 9), (3, 50, 7), (3, 51, 3), (3, 53, 0), (4, 0, 0)}
BAD = {(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 0), (3, 51, 2)}


# ------------------------------------------------------------------------- libraries


@pytest.mark.parametrize("version", sorted(GOOD | BAD))
def test_the_versions_with_the_wal_reset_bug_are_known(version):
    assert environment.has_wal_reset_bug(version) is (version in BAD)


def test_an_sqlite_with_the_bug_is_a_warning_that_names_the_writer_lock(monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    check = environment.sqlite_version()
    assert check.status is Status.WARNING
    assert check.detail.startswith("3.51.2 has the WAL-reset bug")
    assert "writer lock lets only one write" in check.detail
    assert "3.51.3" in check.remedy


def test_an_sqlite_without_the_bug_is_fine(monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 44, 6))
    assert environment.sqlite_version().status is Status.OK


@pytest.mark.parametrize(("level", "status"), [(0, Status.PROBLEM), (1, Status.WARNING), (3, Status.OK)])
def test_the_threading_mode_of_sqlite_is_judged(monkeypatch, level, status):
    monkeypatch.setattr(sqlite3, "threadsafety", level)
    check = environment.sqlite_threads()
    assert check.status is status
    assert bool(check.remedy) is (status is not Status.OK)


def test_full_text_search_is_tried(monkeypatch):
    assert environment.full_text_search().status is Status.OK
    connect = sqlite3.connect

    def without_virtual_tables(*arguments, **options):
        connection = connect(*arguments, **options)
        denied = sqlite3.SQLITE_CREATE_VTABLE
        connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action == denied else sqlite3.SQLITE_OK
        )
        return connection

    monkeypatch.setattr(sqlite3, "connect", without_virtual_tables)
    check = environment.full_text_search()
    assert check.status is Status.PROBLEM
    assert check.detail.startswith("SQLite has no usable FTS5: ")


def test_faiss_is_loaded_and_tried(monkeypatch):
    check = environment.vector_library()
    assert check.status is Status.OK
    assert check.detail == sys.modules["faiss"].__version__


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("1.11.0", Status.PROBLEM),
        ("1.12.0", Status.WARNING),
        ("1.14.2", Status.WARNING),
        ("1.15.0", Status.OK),
    ],
)
def test_a_faiss_that_is_too_old_is_a_problem(monkeypatch, version, status):
    environment.vector_library()
    monkeypatch.setattr(sys.modules["faiss"], "__version__", version)
    assert environment.vector_library().status is status


def test_a_faiss_that_cannot_be_loaded_is_a_problem(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "faiss", None)
        vectors._faiss.cache_clear()
        check = environment.vector_library()
    assert check.status is Status.PROBLEM
    assert check.remedy == "run `pip install --upgrade faiss-cpu`"


# ---------------------------------------------------------------------------- OpenMP


@pytest.fixture
def loaded(monkeypatch):
    """As if these files were mapped into the process."""
    mapping = namedtuple("mapping", "path")

    def load(*paths):
        monkeypatch.setattr(
            psutil.Process, "memory_maps", lambda self: [mapping(path) for path in paths], raising=False
        )

    return load


FAISS_GOMP, TORCH_GOMP = "/x/faiss_cpu.libs/libgomp-24e2ab19.so.1.0.0", "/x/torch/lib/libgomp.so.1"


def test_one_runtime_is_fine_whatever_else_is_loaded(loaded):
    loaded("[heap]", "/lib/libc.so.6", "/x/libcompute.so", FAISS_GOMP)
    check = environment.openmp_runtimes()
    assert check.status is Status.OK
    assert check.detail.startswith("1 loaded (libgomp)")


def test_two_copies_of_libgomp_are_the_rule_on_linux_only(loaded, monkeypatch):
    loaded(FAISS_GOMP, TORCH_GOMP)
    monkeypatch.setattr(sys, "platform", "linux")
    assert environment.openmp_runtimes().status is Status.OK
    monkeypatch.setattr(sys, "platform", "darwin")
    assert environment.openmp_runtimes().status is Status.WARNING


def test_a_mixture_of_runtimes_is_a_warning_that_names_the_files(loaded):
    loaded(FAISS_GOMP, "/x/torch/lib/libiomp5.so")
    check = environment.openmp_runtimes()
    assert check.status is Status.WARNING
    assert FAISS_GOMP in check.detail
    assert "libiomp5" in check.detail
    assert "OMP_NUM_THREADS=1" in check.remedy


@linux
def test_the_runtime_that_faiss_brings_is_seen():
    environment.vector_library()
    assert "libgomp" in environment.openmp_runtimes().detail


# ----------------------------------------------------------------------------- place


MOUNTS = """/dev/sda1 / ext4 rw,relatime 0 0
server:/export /home nfs4 rw,vers=4.2 0 0
//nas/share /home/me/my\\040share cifs rw 0 0
me@host:/ /mnt/far fuse.sshfs rw,nosuid 0 0
auto /mnt/auto autofs rw 0 0
server:/auto /mnt/auto nfs rw 0 0
/dev/sdb1 /home/me/disk btrfs rw 0 0
"""


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    """As if the system had these mounts."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "mounts").write_text(MOUNTS)
    (tmp_path / "proc" / "filesystems").write_text("nodev\tproc\n\text4\n\tbtrfs\nnodev\tnfs4\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "proc"), raising=False)


@linux
@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/srv/store", "ext4"),
        ("/homeless/store", "ext4"),
        ("/home/me/store", "nfs4"),
        ("/home/me/my share/store", "cifs"),
        ("/mnt/far/store", "fuse.sshfs"),
        ("/mnt/auto/store", "nfs"),
        ("/home/me/disk/store", "btrfs"),
    ],
)
def test_the_file_system_of_the_innermost_mount_decides(mounts, directory, kind):
    check = environment.file_system(Path(directory))
    assert kind in check.detail
    if kind in environment.NETWORK_FILE_SYSTEMS:
        assert check.status is Status.PROBLEM
        assert "`ragstack backup DIR`" in check.remedy
    else:
        assert check.status is Status.OK


@posix
@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "status"),
    [
        (0o700, 0o600, Status.OK),
        (0o700, 0o666, Status.OK),
        (0o755, 0o600, Status.WARNING),
        (0o750, 0o644, Status.WARNING),
        (0o755, 0o664, Status.PROBLEM),
        (0o777, 0o600, Status.PROBLEM),
    ],
)
def test_a_store_is_for_its_owner_alone(store, folder_mode, file_mode, status):
    for path in store.rglob("*"):
        path.chmod(0o700 if path.is_dir() else file_mode)
    store.chmod(folder_mode)
    check = environment.permissions(store)
    assert check.status is status
    assert ("chmod -R go-rwx" in check.remedy) is (status is not Status.OK)


@posix
def test_the_remedy_closes_the_store(store):
    import subprocess

    store.chmod(0o777)
    subprocess.run(environment.permissions(store).remedy.split("`")[1], shell=True, check=True)
    assert environment.permissions(store).status is Status.OK


@pytest.mark.parametrize(
    ("free", "status"),
    [(99_000_000, Status.PROBLEM), (300_000_000, Status.WARNING), (500_000_000, Status.OK)],
)
def test_free_space_is_measured_against_the_store(store, monkeypatch, free, status):
    usage = namedtuple("usage", "total used free")
    (store / "index" / "large.faiss").touch()
    with (store / "index" / "large.faiss").open("r+b") as file:
        file.truncate(200_000_000)  # sparse: takes no space
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, free))
    check = environment.free_space(store)
    assert check.status is status
    assert bool(check.remedy) is (status is not Status.OK)


def test_a_write_ahead_log_is_tried_and_leaves_nothing(store):
    before = sorted(store.rglob("*"))
    assert environment.write_ahead_log(store).status is Status.OK
    assert sorted(store.rglob("*")) == before


def test_a_directory_that_cannot_be_written_is_a_problem(tmp_path):
    check = environment.write_ahead_log(tmp_path / "gone")
    assert check.status is Status.PROBLEM
    assert "cannot be written" in check.detail


def test_an_sqlite_that_grants_no_write_ahead_log_is_a_problem(store, monkeypatch):
    connect = sqlite3.connect

    def in_memory(_path):  # where SQLite never uses one
        return connect("file:probe?mode=memory&cache=shared", uri=True)

    monkeypatch.setattr(sqlite3, "connect", in_memory)
    check = environment.write_ahead_log(store)
    assert check.status is Status.PROBLEM
    assert "journal mode is `memory`" in check.detail


def test_a_check_that_breaks_is_a_finding_too(store, monkeypatch):
    def broken(_path):
        raise OSError("the disk does not answer")

    monkeypatch.setattr(shutil, "disk_usage", broken)
    check = made("free space", lambda: environment.free_space(store))
    assert (check.status, check.detail) == (Status.PROBLEM, "OSError: the disk does not answer")
