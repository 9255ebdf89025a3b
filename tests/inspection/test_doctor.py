"""The doctor on stores and models that are fine, and on such that are not."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from ragstack.config import DATABASE_FILE
from ragstack.embedding import file_hashes, models
from ragstack.inspection.checks import Status
from ragstack.inspection.doctor import diagnose
from ragstack.store import migrations
from ragstack.system import RAGSystem


@pytest.fixture(autouse=True)
def fine_machine(monkeypatch):
    """What the machine of the tests happens to be is no part of them."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 53, 0))


def examine(store, **options):
    return {check.name: check for check in diagnose(store, **options)}


def execute(store, statement, *values):
    with closing(sqlite3.connect(store / DATABASE_FILE)) as connection:
        connection.execute(statement, values)
        connection.commit()


def content(store):
    return {
        path.relative_to(store): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in store.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


# ------------------------------------------------------------------------------ whole


def test_a_good_store_with_its_model_has_no_problem(store, model):
    checks = examine(store, model=str(model))
    found = {name: check.status for name, check in checks.items() if name != "file system"}
    assert set(found.values()) == {Status.OK}
    assert "3 documents" in checks["integrity"].detail


def test_without_a_store_only_the_machine_is_examined(tmp_path, model):
    checks = examine(tmp_path / "none", model=str(model))
    assert list(checks) == ["SQLite", "threads", "full text", "faiss", "store", "model", "OpenMP"]
    assert "`ragstack ingest FOLDER`" in checks["store"].remedy
    assert not (tmp_path / "none").exists()


def test_examining_changes_nothing(store, model):
    before = content(store)
    diagnose(store, model=str(model), thorough=True)
    assert content(store) == before


def test_importing_the_doctor_loads_nothing_heavy():
    heavy = ("torch", "transformers", "sentence_transformers", "faiss", "numpy", "sqlalchemy", "psutil")
    code = (
        f"import sys, ragstack.inspection.doctor; print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_torch_is_loaded_only_by_a_thorough_examination(store, model):
    code = (
        "import sys\nfrom pathlib import Path\nfrom ragstack.inspection.doctor import diagnose\n"
        "diagnose(Path(sys.argv[1]), model=sys.argv[2], thorough=sys.argv[3] == 'True')\n"
        "print('torch' in sys.modules)"
    )
    for thorough in (False, True):
        arguments = [sys.executable, "-W", "ignore", "-c", code, str(store), str(model), str(thorough)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(thorough)


# ------------------------------------------------------------------------------ store


def test_damage_is_found_and_the_command_that_looks_closer_named(store):
    (path,) = (store / "index").glob("*.faiss")
    path.write_bytes(path.read_bytes()[:-1])
    check = examine(store)["integrity"]
    assert check.status is Status.PROBLEM
    assert path.name in check.detail
    assert check.remedy == "run `ragstack verify --deep`"


def test_a_newer_schema_is_a_problem(store):
    execute(store, "UPDATE alembic_version SET version_num = '9999'")
    check = examine(store)["schema"]
    assert check.status is Status.PROBLEM
    assert "`pip install --upgrade ragstack`" in check.remedy


def test_an_older_schema_is_a_warning_and_is_not_migrated(store, monkeypatch):
    monkeypatch.setattr(migrations, "HEAD", "9999")
    before = content(store)
    checks = examine(store)
    assert checks["schema"].status is Status.WARNING
    assert "integrity" not in checks
    assert content(store) == before


def test_a_database_that_is_none_is_a_problem_and_stops_no_other_check(store):
    (store / DATABASE_FILE).write_bytes(b"gone" * 2_000)
    checks = examine(store)
    assert checks["schema"].status is Status.PROBLEM
    assert checks["schema"].remedy == "run `ragstack verify`"
    assert {"permissions", "free space", "backups", "OpenMP"} <= set(checks)


def test_a_writer_at_work_is_named(store):
    (store / "write.pid").write_text(f"{os.getpid()}\n")
    check = examine(store)["writer"]
    assert (check.status, check.detail) == (
        Status.OK, f"process {os.getpid()} is writing; others can read",
    )  # fmt: skip


def test_the_note_of_a_writer_that_died_is_explained(store):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (store / "write.pid").write_text(f"{ended.pid}\n")
    check = examine(store)["writer"]
    assert check.status is Status.OK
    assert f"process {ended.pid} has ended" in check.detail
    (store / "write.pid").write_text("\n")
    assert "names no process" in examine(store)["writer"].detail


def test_index_files_that_were_set_aside_are_a_warning(store):
    (path,) = (store / "index").glob("*.faiss")
    path.write_bytes(path.read_bytes()[:-1])
    with RAGSystem.open(store) as system:
        system.repair(apply=True)
    checks = examine(store)
    assert checks["integrity"].status is Status.OK
    assert checks["set aside"].status is Status.WARNING
    assert str(store / "quarantine") in checks["set aside"].remedy
    assert checks["backups"].detail.startswith("1 made by repairs")
    assert "`ragstack purge`" in checks["backups"].remedy


# ------------------------------------------------------------------------------ model


def test_another_model_than_that_of_the_store_is_a_problem(store, model):
    config = model / "config_sentence_transformers.json"
    changed = json.loads(config.read_text()) | {"prompts": {"query": "ask: "}}
    config.write_text(json.dumps(changed))
    check = examine(store, model=str(model))["model"]
    assert check.status is Status.PROBLEM
    assert "query_prompt" in check.detail
    assert "`ragstack reembed --model " in check.remedy


def test_a_model_file_that_is_cut_short_is_a_problem(store, model):
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    check = examine(store, model=str(model))["model"]
    assert check.status is Status.PROBLEM
    assert str(weights) in check.detail


@pytest.mark.parametrize(("offline", "status"), [(False, Status.WARNING), (True, Status.PROBLEM)])
def test_a_model_that_is_not_here_is_a_problem_only_offline(tmp_path, monkeypatch, offline, status):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    check = examine(tmp_path / "none", model="owner/absent", offline=offline)["model"]
    assert check.status is status
    assert "`owner/absent` are not on this machine" in check.detail


def test_a_file_of_the_default_model_that_is_not_the_original_is_a_problem(tmp_path, monkeypatch):
    original = models._packaged_folder()
    assert original is not None
    for name in models._PINNED:
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).symlink_to(original / name)
    (tmp_path / "model" / "vocab.txt").unlink()
    (tmp_path / "model" / "vocab.txt").write_text("other words\n")
    monkeypatch.setattr(models, "_packaged_folder", lambda: tmp_path / "model")
    check = examine(tmp_path / "none")["model"]
    assert check.status is Status.PROBLEM
    assert "vocab.txt` is not the original" in check.detail
    assert "`pip install --force-reinstall" in check.remedy


def test_a_thorough_examination_compares_vectors_with_those_of_the_store(store, model):
    fine = examine(store, model=str(model), thorough=True)["model"]
    assert fine.status is Status.OK
    assert fine.detail.endswith("gives the vectors that it gave when the store was made")
    execute(store, "UPDATE generations SET probe = zeroblob(length(probe))")
    check = examine(store, model=str(model), thorough=True)["model"]
    assert check.status is Status.PROBLEM
    assert "other vectors" in check.detail


def test_a_thorough_examination_reads_the_files_whatever_hash_is_remembered(store, model, monkeypatch):
    """The remembered hash of a file whose bytes decayed is the right one of before, and so do they differ."""
    monkeypatch.setattr(file_hashes, "REMEMBERED_FROM_BYTES", 0)
    tokenizer = model / "tokenizer.json"
    for path in model.rglob("*"):
        os.utime(path, ns=(10**18, 10**18))
    monkeypatch.setattr(file_hashes, "SETTLED_AFTER_NS", 0)
    whole = file_hashes.file_sha256(tokenizer)
    data = bytearray(tokenizer.read_bytes())
    data[data.index(b"library")] = ord("L")
    tokenizer.write_bytes(data)
    memory = json.loads(file_hashes._memory_path().read_text())
    found = tokenizer.stat()
    stat = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
    memory[str(tokenizer.resolve())] = [*stat, whole]
    file_hashes._memory_path().write_text(json.dumps(memory))
    assert examine(store, model=str(model))["model"].status is Status.OK
    check = examine(store, model=str(model), thorough=True)["model"]
    assert check.status is Status.PROBLEM
    assert f"the bytes of the model file `{tokenizer}` have changed" in check.detail
