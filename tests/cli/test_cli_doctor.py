"""`ragstack doctor`: findings on stdout, an exit code, and remedies that can be run as they stand."""

from __future__ import annotations

import json
import sqlite3
import sys

import pytest

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


@pytest.fixture(autouse=True)
def fine_machine(monkeypatch):
    """What the machine of the tests happens to be is no part of them."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 53, 0))


def checks(result):
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_without_a_store_the_machine_alone_is_examined(invoke, folder):
    result = invoke("doctor", "--store", "none")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["ok", "SQLite"]
    assert "         -> run `ragstack ingest FOLDER --store none` to make one" in lines
    assert lines[-1].startswith("7 checks: ")
    assert list(folder.iterdir()) == []


def test_a_warning_alone_exits_with_0(invoke, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 40, 1))
    result = invoke("doctor")
    assert result.exit_code == 0
    assert result.stdout.startswith("warning  SQLite     3.40.1 has the WAL-reset bug")
    assert "         -> let no other program write to the store" in result.stdout


@posix
def test_a_problem_exits_with_1_and_its_command_solves_it(run, library):
    (library / "store").chmod(0o777)
    result = run("doctor")
    assert result.exit_code == 1
    found = checks(run("doctor", "--json"))["permissions"]
    assert found["status"] == "problem"
    assert found["remedy"] == f"run `chmod -R go-rwx {library / 'store'}`"
    (library / "store").chmod(0o700)
    assert checks(run("doctor", "--json"))["permissions"]["status"] == "ok"


def test_damage_is_a_problem_with_the_command_that_looks_closer(run, library, next_command):
    (path,) = (library / "store" / "index").glob("*.faiss")
    path.unlink()
    result = run("doctor")
    assert result.exit_code == 1
    (remedy,) = [line for line in result.stdout.splitlines() if "verify --deep" in line]
    assert next_command(remedy).exit_code == 1


def test_a_store_that_cannot_be_read_at_all_is_a_finding_and_not_an_error(run, library):
    (library / "store" / "ragstack.db").write_bytes(b"gone" * 2_000)
    result = run("doctor", "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    found = checks(result)
    assert (found["schema"]["status"], found["schema"]["remedy"]) == ("problem", "run `ragstack verify`")
    assert "integrity" not in found


def test_json_counts_what_it_lists(run):
    document = json.loads(run("doctor", "--json").stdout)
    for status, total in (("problem", document["problems"]), ("warning", document["warnings"])):
        assert sum(check["status"] == status for check in document["checks"]) == total
    assert all(set(check) == {"name", "status", "detail", "remedy"} for check in document["checks"])
