"""`ragstack remove` and `ragstack purge`: documents go, their files stay, and at last their bytes go too."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ragstack.system import RAGSystem


def paths(run):
    return {each["path"] for each in json.loads(run("inspect", "documents", "--json").stdout)["documents"]}


def traces(library, words):
    return [
        path.name
        for path in (library / "store").rglob("*")
        if path.is_file() and words.encode() in path.read_bytes()
    ]


# ----------------------------------------------------------------------------- remove


def test_documents_are_removed_by_file_and_by_id(run, library):
    result = run("remove", "docs/travel.txt", "1", "--yes")
    assert result.exit_code == 0
    docs = (library / "docs").as_posix()
    assert result.stdout.splitlines() == [
        f"Removed document 3 (`{docs}/travel.txt`)",
        f"Removed document 1 (`{docs}/leave.md`)",
    ]
    assert paths(run) == {"notice.md"}
    assert (library / "docs" / "travel.txt").is_file()


def test_the_hints_name_what_brings_it_back_and_what_erases_it(run):
    kept, purge = run("remove", "docs/travel.txt", "--yes").stderr.splitlines()
    assert "`.ragstackignore`" in kept
    assert purge.startswith("hint: run `ragstack purge --store store`")


def test_a_text_is_removed_by_its_name(run, library):
    with RAGSystem.open(library / "store") as system:
        system.add_document("Llamas hum.", name="llamas.txt")
    result = run("remove", "llamas.txt", "--yes")
    assert "(`llamas.txt`)" in result.stdout
    assert ".ragstackignore" not in result.stderr
    assert "llamas.txt" not in paths(run)


@pytest.mark.parametrize("unknown", ["nowhere.md", "99"])
def test_one_that_is_not_there_keeps_all_the_others(run, unknown):
    result = run("remove", "1", unknown, "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "hint: run `ragstack inspect documents --store store`" in result.stderr
    assert len(paths(run)) == 3


def test_one_that_is_named_twice_is_removed_once(run):
    result = run("remove", "1", "docs/leave.md", "--yes")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize("command", [["remove", "1"], ["purge"], ["sources", "remove", "docs"]], ids=" ".join)
def test_it_asks_and_a_no_changes_nothing(run, terminal, command):
    result = run(*command, input="n\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "[y/N]" in result.stderr
    assert len(paths(run)) == 3


@pytest.mark.parametrize("command", [["remove", "1"], ["purge"], ["sources", "remove", "docs"]], ids=" ".join)
def test_without_a_terminal_and_without_yes_it_refuses_with_a_hint(run, command):
    result = run(*command, input="y\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("hint: add `--yes` if you are sure\n")
    assert len(paths(run)) == 3


def test_a_yes_at_the_terminal_is_enough(run, terminal):
    assert run("remove", "1", input="y\n").exit_code == 0
    assert len(paths(run)) == 2


# ------------------------------------------------------------------------------ texts


def test_texts_that_were_added_by_name_are_listed_and_removed_as_a_source(run, library):
    with RAGSystem.open(library / "store") as system:
        system.add_document("Llamas hum.", name="llamas.txt")
        system.add_document("Alpacas hum as well.")
    assert any(
        line.split(maxsplit=4) == ["2", "0", "0", "texts", "(texts added by name)"]
        for line in run("sources").stdout.splitlines()
    )
    assert "(texts added by name) (texts): 2 documents" in run("inspect").stdout
    result = run("sources", "remove", "--texts", "--yes")
    assert (result.exit_code, result.stdout) == (0, "Removed the texts added by name: 2 documents\n")
    assert paths(run) == {"leave.md", "notice.md", "travel.txt"}


def test_without_such_texts_there_is_nothing_to_remove(run):
    result = run("sources", "remove", "--texts", "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "There are no texts added by name\n"


# ------------------------------------------------------------------------------ purge


def test_after_a_purge_no_file_of_the_store_holds_what_was_removed(run, library):
    run("backup", "store/backups/before")
    run("remove", "docs/travel.txt", "--yes")
    assert traces(library, "second class") != []
    result = run("purge", "--yes")
    assert result.exit_code == 0
    assert result.stdout.startswith("Purged: ")
    assert traces(library, "second class") == []
    assert traces(library, "notice period") == ["ragstack.db"]
    assert run("verify", "--deep").exit_code == 0


READ = """
import sys
from ragstack.system import RAGSystem
with RAGSystem.open("store", create=False) as system, system.store.read() as snapshot:
    print(len(snapshot.documents()), flush=True)
    sys.stdin.read()
"""


def test_a_purge_that_a_reader_held_up_says_so_and_exits_with_1(run, library):
    reader = subprocess.Popen(
        [sys.executable, "-c", READ], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=library
    )
    with reader:
        assert reader.stdout.readline() == "3\n"
        run("remove", "docs/travel.txt", "--yes")
        held_up = run("purge", "--yes")
        reader.communicate()
    assert (held_up.exit_code, held_up.stdout) == (1, "")
    assert "run `ragstack purge" in held_up.stderr
    assert run("purge", "--yes").exit_code == 0
    assert traces(library, "second class") == []
