"""`ragstack verify`: says what it checked, what is damaged, and the command that mends it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragstack.store.store import Store
from ragstack.system import RAGSystem


@pytest.fixture
def segment(library):
    (path,) = (library / "store" / "index").glob("*.faiss")
    return path


def flip(path, at=-20):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


# ------------------------------------------------------------------------------ scope


def test_a_whole_store_exits_with_0_and_says_so_on_stdout_only(run):
    result = run("verify")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "Nothing is damaged"


def test_every_depth_says_in_other_words_what_it_read(run):
    held = "of 3 documents, 3 chunks, 1 segment: "
    quick, sample, deep = (
        run("verify", *arguments).stdout.splitlines()[0]
        for arguments in ([], ["--sample", "34%", "--seed", "5"], ["--deep"])
    )
    assert quick.startswith(f"Quick check {held}structure, counts, hashes of index files")
    assert sample.startswith(f"Sample check {held}text, checksum and vector of 1 chunk ")
    assert "`--sample 34% --seed 5`" in sample
    assert deep == f"Deep check {held}every text, checksum, vector and full-text row"


def test_the_sample_that_was_drawn_can_be_drawn_again(run):
    first = json.loads(run("verify", "--sample", "67%", "--json").stdout)
    again = json.loads(run("verify", "--sample", "67%", "--seed", first["seed"], "--json").stdout)
    assert again == first


def test_samples_differ_from_run_to_run_unless_a_seed_is_given(run):
    seeds = {json.loads(run("verify", "--sample", "5%", "--json").stdout)["seed"] for _ in range(4)}
    assert len(seeds) > 1


def test_a_sample_of_everything_is_a_deep_check(run):
    assert run("verify", "--sample", "100%").stdout == run("verify", "--deep").stdout


def test_an_empty_store_is_whole(invoke):
    Store.create(Path("empty")).close()
    result = invoke("verify", "--deep", "--store", "empty")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "Nothing is damaged")


# ----------------------------------------------------------------------------- damage


def test_a_damaged_index_file_exits_with_1_and_names_the_command_that_mends_it(run, segment):
    flip(segment)
    result = run("verify")
    assert result.exit_code == 1
    _, remedy, problem, verdict = result.stdout.splitlines()
    assert remedy == "segment: run `ragstack repair --apply --store store`"
    assert problem.split(maxsplit=1) == [segment.name, "does not have the sha256 of its manifest"]
    assert verdict == "Damaged: 1 problem"
    assert result.stderr == ""


def test_the_named_command_mends_it(run, segment, next_command):
    flip(segment)
    mended = next_command(run("verify").stdout.splitlines()[1], "--yes")
    assert mended.exit_code == 0, mended.output
    assert run("verify", "--deep").exit_code == 0


def test_verifying_mends_nothing_by_itself(run, segment):
    flip(segment)
    damaged = segment.read_bytes()
    run("verify", "--deep")
    assert segment.read_bytes() == damaged
    assert run("verify").exit_code == 1


def test_a_changed_text_is_found_by_a_deep_check_and_traced_to_the_folder_it_came_from(run, library, execute):
    execute("UPDATE text_blocks SET text = replace(text, 'thirty', 'twenty')")
    assert run("verify").exit_code == 0
    result = run("verify", "--deep")
    assert result.exit_code == 1
    source = f"`ragstack ingest {library / 'docs'} --store store`"
    remedy = f"text: run `ragstack repair --apply --store store`, then run {source}"
    assert remedy in result.stdout.splitlines()
    assert "  document 1 (leave.md)  its text does not have its hash" in result.stdout.splitlines()


def test_a_text_that_was_added_by_name_is_to_be_added_again(run, library, execute):
    with RAGSystem.open(library / "store") as system:
        document_id = system.add_document("Llamas hum.", name="llamas.txt")
    execute(f"UPDATE text_blocks SET text = 'Llamas bit.' WHERE document_id = {document_id}")
    assert "then add `llamas.txt` again" in run("verify", "--deep").stdout


def test_a_file_that_was_ingested_alone_is_to_be_ingested_alone(invoke, library, light_models):
    invoke("ingest", "--store", "single", "docs/travel.txt")
    with (
        RAGSystem.open("single") as system,
        system.store.write() as writer,
        writer.engine.begin() as connection,
    ):
        connection.exec_driver_sql("UPDATE text_blocks SET text = replace(text, 'second', 'first')")
    result = invoke("verify", "--deep", "--store", "single")
    assert f"`ragstack ingest {library / 'docs' / 'travel.txt'} --store single`" in result.stdout


def test_a_stray_file_is_named_and_is_no_damage(run, segment):
    segment.with_name("left.faiss").write_bytes(b"by a crash")
    result = run("verify")
    assert result.exit_code == 0
    assert "stray file: none needed: the next writing command removes it" in result.stdout
    assert result.stdout.splitlines()[-1] == "Nothing is damaged"


def test_json_has_every_problem_with_its_remedy(run, segment):
    flip(segment)
    result = run("verify", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["clean"], document["share"], document["documents"], document["segments"]) == (
        False, 0.0, 3, 1,
    )  # fmt: skip
    assert document["problems"] == [
        {
            "damage": "segment",
            "subject": segment.name,
            "detail": "does not have the sha256 of its manifest",
            "document_id": None,
            "remedy": "run `ragstack repair --apply --store store`",
        }
    ]


# --------------------------------------------------------------------------- database


@pytest.fixture
def ruined(library):
    (library / "store" / "ragstack.db").write_bytes(b"this was a database once\n" * 400)


def test_a_file_that_is_no_database_is_damage_that_was_found(run, ruined):
    result = run("verify")
    assert result.exit_code == 1
    assert result.stdout.startswith("The check ended at the database file")
    assert "file is not a database" in result.stdout
    assert json.loads(run("verify", "--json").stdout)["problems"][0]["damage"] == "database"


def test_without_a_backup_a_ruined_database_is_replaced_by_a_new_store(run, ruined, library):
    assert f"else `ragstack ingest FOLDER --store {library / 'store'}-restored`" in run("verify").stdout


def test_with_a_backup_a_ruined_database_is_restored_by_the_named_command(
    run, segment, library, next_command, invoke
):
    flip(segment)
    run("repair", "--apply", "--yes")
    (library / "store" / "ragstack.db").write_bytes(b"gone")
    restored = next_command(run("verify").stdout)
    assert restored.exit_code == 0, restored.output
    assert invoke("verify", "--deep", "--store", "store-restored").exit_code == 0


def test_hostile_names_do_not_reach_the_terminal(run, library, execute):
    execute("UPDATE documents SET path = 'a' || char(27) || '[2J.md', text_hash = 'x' WHERE id = 1")
    output = run("verify", "--deep").stdout
    assert "\x1b" not in output
    assert r"a\x1b[2J.md" in output
