"""`ragstack backup` and `ragstack restore`: a copy that is a store, and never one over another."""

from __future__ import annotations

import json


def test_a_backup_is_restored_by_the_command_that_it_names(run, library, next_command, invoke):
    made = run("backup", "copies/first")
    assert made.exit_code == 0
    assert made.stdout.startswith(f"Backed up `{library / 'store'}` to `copies/first` (")
    assert made.stderr == "hint: to have it back, run `ragstack restore copies/first --store DIR`\n"
    run("remove", "1", "2", "--yes")
    restored = next_command(made.stderr.replace("DIR", "again"))
    assert (restored.exit_code, restored.stdout) == (
        0, f"Restored 3 documents, 3 chunks into `{library / 'again'}`\n",
    )  # fmt: skip
    assert next_command(restored.stderr).exit_code == 0
    assert (
        len(json.loads(invoke("inspect", "documents", "--store", "again", "--json").stdout)["documents"]) == 3
    )


def test_a_restored_store_goes_on_where_the_backup_was_made(run, invoke, library):
    run("backup", "copy")
    invoke("restore", "copy", "--store", "again")
    assert "3 unchanged" in invoke("ingest", "docs", "--store", "again").stdout
    (library / "docs" / "new.txt").write_text("Hotels cost at most 120 euros.", encoding="utf-8")
    assert "1 new, 3 unchanged" in invoke("ingest", "docs", "--store", "again").stdout
    assert invoke("verify", "--deep", "--store", "again").exit_code == 0


def test_index_files_that_the_backup_lacks_are_made_anew_which_is_said(run, invoke, library):
    run("backup", "copy")
    for path in (library / "copy" / "index").iterdir():
        path.unlink()
    result = invoke("restore", "copy", "--store", "again")
    assert result.exit_code == 0
    assert "is missing; rebuilt from the stored vectors" in result.stderr
    assert invoke("verify", "--deep", "--store", "again").exit_code == 0


def test_a_backup_goes_into_a_new_directory_only(run, library):
    run("backup", "copy")
    before = {path: path.stat().st_mtime_ns for path in (library / "copy").rglob("*")}
    result = run("backup", "copy")
    assert result.exit_code == 2
    assert "hint: name a new directory for the backup" in result.stderr
    assert {path: path.stat().st_mtime_ns for path in (library / "copy").rglob("*")} == before


def test_a_restore_never_overwrites_a_store(run):
    run("backup", "copy")
    result = run("restore", "copy")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "restore into another place with `--store DIR`" in result.stderr


def test_what_is_no_backup_is_refused_and_makes_no_store(invoke, library):
    result = invoke("restore", "docs", "--store", "again")
    assert result.exit_code == 2
    assert "`docs` holds no `ragstack.db`" in result.stderr
    assert not (library / "again").exists()
