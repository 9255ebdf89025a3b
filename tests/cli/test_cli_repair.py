"""`ragstack repair`: says what it would do, backs up, mends, and checks its own work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def damaged(library):
    """The index file of the store, with a byte of it changed."""
    (path,) = (library / "store" / "index").glob("*.faiss")
    data = bytearray(path.read_bytes())
    data[-20] ^= 4
    path.write_bytes(data)
    return path


@pytest.fixture
def changed_text(execute):
    execute("UPDATE text_blocks SET text = replace(text, 'thirty', 'twenty')")


def content(directory):
    return {
        path: path.read_bytes()
        for path in Path(directory).rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal", ".lock"))
    }


def test_a_whole_store_needs_no_repair_and_no_backup(run, library):
    for arguments in ([], ["--apply", "--yes"]):
        result = run("repair", *arguments)
        assert (result.exit_code, result.output) == (0, "Nothing is damaged\n")
    assert not (library / "store" / "backups").exists()


def test_without_apply_it_says_what_it_would_do_and_does_nothing(run, damaged):
    before = content("store")
    result = run("repair")
    assert result.exit_code == 1
    assert content("store") == before
    assert result.stdout.splitlines()[-3:] == [
        "To be done, after a backup:",
        f"  {damaged.name}  make the index file anew from the vectors in the database",
        "Nothing was changed",
    ]
    assert result.stderr == "hint: run `ragstack repair --apply --store store` to do it\n"


def test_applying_backs_up_says_where_mends_and_checks(run, damaged, invoke):
    result = run("repair", "--apply", "--yes")
    assert (result.exit_code, result.stderr) == (0, "")
    saved, done, step, verdict = result.stdout.splitlines()
    backup = Path(saved.removeprefix("Backed up to `").removesuffix("`"))
    assert (backup / "ragstack.db").is_file()
    assert (done, verdict) == ("Done:", "Nothing is damaged")
    assert damaged.name in step
    assert run("verify", "--deep").exit_code == 0
    assert "3 documents" in invoke("restore", backup, "--store", "back").stdout


def test_it_shows_the_plan_and_asks_before_it_applies(run, damaged, terminal):
    before = content("store")
    declined = run("repair", "--apply", input="n\n")
    assert (declined.exit_code, declined.stdout) == (1, "")
    assert f"{damaged.name}  make the index file anew" in declined.stderr
    assert content("store") == before
    accepted = run("repair", "--apply", input="y\n")
    assert accepted.exit_code == 0
    assert "Nothing is damaged" in accepted.stdout


def test_with_nothing_to_mend_nothing_is_asked(run, terminal):
    assert run("repair", "--apply").output == "Nothing is damaged\n"


def test_without_a_terminal_it_wants_yes(run, damaged):
    before = content("store")
    result = run("repair", "--apply", input="y\n")
    assert result.exit_code == 2
    assert result.stderr.endswith("hint: add `--yes` if you are sure\n")
    assert content("store") == before


def test_what_the_store_cannot_mend_is_marked_and_the_next_ingest_is_named(
    run, library, changed_text, next_command
):
    result = run("repair", "--apply", "--yes")
    assert result.exit_code == 1
    assert "Marked to be read again: 1 document" in result.stdout
    ingest = f"`ragstack ingest {library / 'docs'} --store store`"
    assert result.stderr == f"hint: run {ingest}\n"
    assert f"text: run {ingest}" in result.stdout.splitlines()
    assert "1 changed, 2 unchanged" in next_command(result.stderr).stdout
    assert run("verify", "--deep").exit_code == 0
    assert run("repair").output == "Nothing is damaged\n"


def test_no_document_is_lost_by_a_repair(run, execute):
    execute("DELETE FROM vectors WHERE chunk_id = 2")
    result = run("repair", "--apply", "--yes")
    assert "Marked to be read again: 1 document" in result.stdout
    assert json.loads(run("inspect", "--json").stdout)["documents"] == 3


def test_the_json_of_a_dry_run_holds_problems_and_plan(run, damaged):
    result = run("repair", "--json")
    document = json.loads(result.stdout)
    assert (document["applied"], document["backup"], document["clean"]) == (False, None, False)
    assert document["problems"][0]["subject"] == document["repairs"][0]["subject"] == damaged.name
    assert document["left"][0]["remedy"] == "run `ragstack repair --apply --store store`"


def test_the_json_of_a_repair_holds_the_backup_and_what_is_left(run, changed_text):
    document = json.loads(run("repair", "--apply", "--yes", "--json").stdout)
    assert document["applied"] is True
    assert (Path(document["backup"]) / "ragstack.db").is_file()
    assert {problem["damage"] for problem in document["left"]} == {"text", "chunk"}
    assert [Path(path).name for path in document["marked"]] == ["leave.md"]


def test_a_database_beyond_repair_names_the_way_to_a_new_store(run, library):
    (library / "store" / "ragstack.db").write_bytes(b"gone" * 1_000)
    result = run("repair")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0].startswith("Error: the database `")
    assert "`ragstack ingest FOLDER --store " in result.stderr.splitlines()[1]


def test_a_marked_document_is_listed_by_inspect_with_the_reason(run, changed_text, library):
    run("repair", "--apply", "--yes")
    *_, heading, entry = run("inspect").stdout.splitlines()
    assert heading.startswith("Stale")
    assert entry.split(maxsplit=1) == [(library / "docs" / "leave.md").as_posix(), "damaged in the store"]
