"""Every command for real: a folder of documents, a store, and the embedding model."""

from __future__ import annotations

import hashlib
import json
import re
import shutil

import pytest
from click.testing import CliRunner

from ragstack.cli import cli

HANDBOOK = """# Handbook

## Leave

Every employee has thirty days of paid leave a year. Leave is approved by the team lead within a week.

## Notice

The notice period is six weeks to the end of a quarter. During the first six months it is two weeks.

## Travel

Trains are booked in second class. A hotel may cost at most 120 euros a night.
"""

FAQ = """<html><head><title>Questions</title></head><body><h1>Questions</h1>
<h2>Oven</h2><p>The oven is cleaned with program P06, which takes ninety minutes.</p>
<h2>Door</h2><p>The gasket of the door is replaced without tools.</p></body></html>
"""

HOSTILE = "The secret ingredient of the soup is star anise \x1b[31m\u202eesina rats\x9b0m, said the cook.\n"

FILES = {
    "handbook.md": HANDBOOK,
    "faq.html": FAQ,
    "kitchen/soup.txt": HOSTILE,
    "notes.bin": "{}\n",
}


SMALL_CHUNKS = ["--chunk-size", "40", "--overlap", "10"]  # so that a short document has several


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A folder of documents and the store that was made of them."""
    base = tmp_path_factory.mktemp("library")
    for name, text in FILES.items():
        (base / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (base / "docs" / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(base))
        result = CliRunner().invoke(
            cli, ["ingest", "--store", str(base / "store"), str(base / "docs"), *SMALL_CHUNKS]
        )
    assert result.exit_code == 0, result.output
    return base


@pytest.fixture
def copied(library, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(library, tmp_path / "copy")


@pytest.fixture
def run(invoke, library):
    def with_store(command, *arguments, **options):
        return invoke(command, "--store", library / "store", *arguments, **options)

    return with_store


def document_ids(run):
    listed = json.loads(run("inspect", "documents", "--json").stdout)["documents"]
    return {each["path"]: each["document_id"] for each in listed}


# ---------------------------------------------------------------------------- ingest


def test_an_ingest_says_what_it_did_on_stdout_and_nothing_on_stderr(invoke, library, folder):
    result = invoke("ingest", "--store", "store", library / "docs")
    assert result.exit_code == 0
    assert re.fullmatch(r"Ingested: 3 new, 1 skipped\nEmbedded [3-9] chunks \([\d.]+ s\)\n", result.stdout)
    assert result.stderr == ""


def test_a_second_ingest_embeds_nothing_and_says_so(copied, invoke):
    invoke("ingest", "--store", copied / "store", copied / "docs")
    result = invoke("ingest", "--store", copied / "store", copied / "docs")
    assert result.stdout.startswith("Ingested: 3 unchanged, 1 skipped\nEmbedded nothing: every chunk was")


def test_verbose_names_every_file_and_says_why_one_was_skipped(invoke, library):
    result = invoke("ingest", "--store", "store", "-v", library / "docs")
    assert "new  handbook.md" in result.stdout
    assert "skipped `notes.bin`: " in result.stderr


def test_quiet_prints_nothing_when_all_is_well(invoke, library):
    result = invoke("ingest", "--store", "store", "--quiet", library / "docs")
    assert (result.exit_code, result.output) == (0, "")


def test_a_bad_file_is_reported_on_stderr_stops_nothing_and_exits_with_1(invoke, library, folder):
    shutil.copytree(library / "docs", "docs")
    (folder / "docs" / "bro\x1bken.pdf").write_bytes(b"%PDF-1.7 nothing")
    result = invoke("ingest", "--store", "store", "docs")
    assert result.exit_code == 1
    assert "3 new, 1 failed" in result.stdout
    (warning,) = result.stderr.splitlines()
    assert warning.startswith(r"warning: could not ingest `bro\x1bken.pdf`: ")


def test_a_folder_that_does_not_exist_is_a_failure_and_exits_with_1(invoke):
    result = invoke("ingest", "--store", "store", "nowhere")
    assert result.exit_code == 1
    assert "nowhere`: no such file or folder" in result.stderr


def test_a_dry_run_lists_what_would_happen_and_makes_no_store(invoke, library, folder):
    result = invoke("ingest", "--dry-run", "--store", "store", library / "docs")
    assert result.exit_code == 0
    assert result.stdout.startswith("Dry run, nothing was changed: 3 new, 1 skipped\n")
    assert "new  kitchen/soup.txt" in result.stdout
    assert list(folder.iterdir()) == []


def test_a_dry_run_on_a_store_changes_nothing_in_it(copied, invoke):
    (copied / "docs" / "handbook.md").unlink()
    result = invoke("ingest", "--dry-run", "--store", copied / "store", copied / "docs", "--json")
    assert json.loads(result.stdout)["dry_run"] is True
    listed = json.loads(invoke("inspect", "documents", "--store", copied / "store", "--json").stdout)
    assert "handbook.md" in [each["path"] for each in listed["documents"]]


def test_the_json_of_an_ingest_is_its_report(invoke, library):
    result = invoke("ingest", "--store", "store", "--json", library / "docs")
    report = json.loads(result.stdout)
    assert {each["path"]: each["state"] for each in report["outcomes"]} == {
        "handbook.md": "new", "faq.html": "new", "kitchen/soup.txt": "new",
    }  # fmt: skip
    assert report["embedded"] == report["chunks"] == sum(each["chunks"] for each in report["outcomes"]) > 0
    assert report["interrupted"] is False


def moved(copied, invoke, *options):
    """Take two of three documents away, and ingest again."""
    invoke("ingest", "--store", copied / "store", copied / "docs")
    (copied / "docs" / "handbook.md").unlink()
    (copied / "docs" / "faq.html").unlink()
    return invoke("ingest", "--store", copied / "store", copied / "docs", *options)


def test_most_of_a_folder_gone_looks_like_a_mistake_and_is_kept_with_a_warning(copied, invoke):
    result = moved(copied, invoke)
    assert "2 kept though gone" in result.stdout
    assert "kept without `--prune`" in result.stderr


def test_prune_removes_it_all_the_same_and_no_prune_never(copied, invoke):
    assert "2 kept though gone" in moved(copied, invoke, "--no-prune").stdout
    result = invoke("ingest", "--store", copied / "store", copied / "docs", "--prune")
    assert "2 removed" in result.stdout


def test_control_c_keeps_what_was_committed_and_says_how_to_go_on(invoke, library, monkeypatch):
    with monkeypatch.context() as patch:

        def interrupt(self, outcome):
            raise KeyboardInterrupt

        patch.setattr("ragstack.cli.progress.WarningsOnly.file_done", interrupt)
        result = invoke("ingest", "--store", "store", library / "docs")
    assert result.exit_code == 1
    interrupted, hint = result.stderr.splitlines()
    assert interrupted.startswith("Interrupted: what was committed stays in `")
    assert hint == "hint: run the same command again to go on"
    assert "every chunk was in the store" not in result.stdout
    again = invoke("ingest", "--store", "store", library / "docs")
    assert again.exit_code == 0
    assert "2 new, 1 unchanged" in again.stdout


def test_chunk_settings_of_a_new_store_come_from_the_project_file(invoke, library, folder):
    (folder / "ragstack.toml").write_text("chunk_size = 50\noverlap = 10", encoding="utf-8")
    invoke("ingest", "--store", ".ragstack", library / "docs")
    overview = json.loads(invoke("inspect", "--json").stdout)
    assert (overview["chunker"]["size"], overview["chunker"]["overlap"]) == (50, 10)


def test_a_store_keeps_its_chunk_size_against_the_environment_and_refuses_a_flag(copied, invoke, monkeypatch):
    monkeypatch.setenv("RAGSTACK_CHUNK_SIZE", "100")
    assert invoke("ingest", "--store", copied / "store", copied / "docs").exit_code == 0
    refused = invoke("ingest", "--store", copied / "store", copied / "docs", "--chunk-size", "99")
    assert refused.exit_code == 1
    assert "99" in refused.stderr
    assert "\nhint: " in refused.stderr


# ------------------------------------------------------------------------------- ask


def test_an_answer_with_its_sources_goes_to_stdout_and_nothing_to_stderr(run):
    result = run("ask", "how long is the notice period?")
    assert result.exit_code == 0
    answer, _, sources = result.stdout.partition("\n\nSources:\n")
    assert "six weeks" in answer
    assert "[1]" in answer
    assert sources.startswith("[1] handbook.md, line")
    assert "Notice)" in sources
    assert result.stderr == ""


def test_the_question_may_be_several_words_or_standard_input(run):
    expected = run("ask", "how long is the notice period?").stdout
    assert run("ask", "how", "long", "is", "the", "notice", "period?").stdout == expected
    assert run("ask", "-", input="how long is the notice period?\n").stdout == expected


def test_a_question_that_nothing_answers_leaves_stdout_empty_and_exits_with_1(run):
    result = run("ask", "who won the football world cup of 1998?")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "hint: ask in other words" in result.stderr


def test_with_json_an_answer_that_was_not_found_is_a_document_too(run):
    result = run("ask", "who won the football world cup of 1998?", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["found"] is False


def test_the_json_of_an_answer_holds_citations_passages_and_the_ledger(run):
    document = json.loads(run("ask", "how long is the notice period?", "--json").stdout)
    assert document["found"] is True
    citation = document["citations"][0]
    assert citation["quote"] == HANDBOOK[citation["start"] : citation["end"]]
    assert document["ledger"]["limits"][0]["tokens"] == 4096
    assert list(document)[:3] == ["question", "text", "found"]


def test_explain_prints_every_term_of_the_budget_and_every_decision(run):
    result = run("ask", "how long is the notice period?", "--explain", "--window", "300", "--reserve", "50")
    assert "250  300 of extractive - 50 reserve; binds" in result.stdout
    assert "kept     chunk" in result.stdout
    assert result.stderr == ""


def test_verbose_says_on_stderr_how_full_the_context_was(run):
    result = run("ask", "how long is the notice period?", "-v")
    assert result.stderr.startswith("context ")
    assert "of 4,096 tokens, " in result.stderr
    assert "context " not in result.stdout


def test_the_window_may_come_from_the_environment(run, monkeypatch):
    monkeypatch.setenv("RAGSTACK_WINDOW", "333")
    document = json.loads(run("ask", "how long is the notice period?", "--json").stdout)
    assert document["ledger"]["limits"][0]["tokens"] == 333


def test_a_filter_restricts_what_is_answered_from(run):
    by_glob = json.loads(run("ask", "how is the oven cleaned?", "--filter", "**/*.html", "--json").stdout)
    assert {hit["chunk"]["path"] for hit in by_glob["hits"]} == {"faq.html"}
    by_type = json.loads(run("search", "oven", "--filter", "type=markdown", "--json").stdout)
    assert {hit["chunk"]["path"] for hit in by_type["hits"]} == {"handbook.md"}


def test_a_filter_that_lets_nothing_pass_is_named_as_the_reason(run):
    result = run("ask", "how is the oven cleaned?", "--filter", "nowhere/**")
    assert result.exit_code == 1
    assert "no document passes `--filter`" in result.stderr


def test_a_window_without_room_is_another_message_than_nothing_found(run):
    result = run("ask", "how is the oven cleaned?", "--window", "5")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: no room")
    assert "hint: " in result.stderr


def test_control_sequences_of_a_document_do_not_reach_the_terminal(run):
    for arguments in (["ask", "what is the secret ingredient of the soup?"], ["search", "secret ingredient"]):
        output = run(*arguments).stdout
        assert "star anise" in output
        assert not {"\x1b", "\x9b", "\u202e"} & set(output)
        assert r"\x1b[31m\u202e" in output


# ---------------------------------------------------------------------------- search


def test_search_prints_rank_score_place_and_text_best_first(run):
    result = run("search", "notice period")
    first = result.stdout.split("\n\n")[0].splitlines()
    assert first[0].startswith("1. ")
    assert "handbook.md, lines" in first[0]
    assert "   The notice period is six weeks to the end of a quarter." in result.stdout


def test_search_shows_as_many_hits_as_asked(run):
    hits = json.loads(run("search", "the", "-k", "2", "--json").stdout)["hits"]
    assert len(hits) == 2
    assert hits[0]["score"] >= hits[1]["score"]


def test_a_search_that_finds_nothing_exits_with_1(run):
    result = run("search", "notice period", "--filter", "nowhere/**")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Nothing in the store fits this")


# --------------------------------------------------------------------------- inspect


def test_the_overview_counts_and_names_the_embedder(run, library):
    output = run("inspect").stdout
    assert str(library / "store") in output
    assert "all-MiniLM-L6-v2, 384 dimensions" in output
    assert "3 (1 text/html, 1 text/markdown, 1 text/plain)" in output


def test_the_json_of_the_overview_has_the_fields_of_its_record(run):
    overview = json.loads(run("inspect", "--json").stdout)
    assert overview["documents"] == 3
    assert overview["chunker"] == overview["chunker"] | {"size": 40, "overlap": 10}
    assert overview["failures"] == []


def test_documents_are_listed_with_id_and_path(run, library):
    header, *rows = run("inspect", "documents").stdout.splitlines()
    assert header.split() == ["id", "chunks", "characters", "type", "path"]
    assert [row.split()[-1] for row in rows] == [
        (library / "docs" / name).as_posix() for name in ("faq.html", "handbook.md", "kitchen/soup.txt")
    ]


def test_a_document_is_shown_with_its_chunks_and_on_demand_its_text(run):
    document_id = document_ids(run)["handbook.md"]
    shown = run("inspect", "document", document_id).stdout
    assert "title" in shown
    assert "begins" in shown
    assert run("inspect", "document", document_id, "--text").stdout == HANDBOOK + "\n"
    assert json.loads(run("inspect", "document", document_id, "--json").stdout)["text"] == HANDBOOK
    assert run("inspect", "document", "handbook.md").stdout == shown


def test_a_chunk_is_shown_with_its_place_and_neighbours(run):
    document = json.loads(run("inspect", "document", document_ids(run)["handbook.md"], "--json").stdout)
    first, second = (each["chunk_id"] for each in document["chunks"][:2])
    shown = run("inspect", "chunk", second).stdout
    assert f"before: {first}" in shown
    assert "handbook.md, lines" in shown
    view = json.loads(run("inspect", "chunk", second, "--json").stdout)
    assert view["chunk"]["text"] == HANDBOOK[view["chunk"]["start"] : view["chunk"]["end"]]


@pytest.mark.parametrize("arguments", [["document", "999"], ["chunk", "999"]], ids=" ".join)
def test_what_is_not_in_the_store_is_an_error_with_a_hint(run, arguments):
    result = run("inspect", *arguments)
    assert result.exit_code == 1
    assert "\nhint: " in result.stderr


def test_options_of_the_group_count_for_its_commands(run):
    assert json.loads(run("inspect", "--json", "documents").stdout)["documents"]


def test_reading_changes_nothing_in_the_store(run, library):
    def content():
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((library / "store").rglob("*"))
            if path.suffix in {".db", ".faiss"}
        }

    before = content()
    reading = (["ask", "--no-log", "how long is leave?"], ["search", "leave"], ["inspect"], ["sources"])
    for arguments in reading:
        assert run(*arguments).exit_code == 0
    assert content() == before
    assert before


# --------------------------------------------------------------------------- sources


def test_sources_are_listed_with_their_counts(run, library):
    output = run("sources").stdout
    assert output.splitlines()[1].split() == ["3", "0", "0", "folder", (library / "docs").as_posix()]
    listed = json.loads(run("sources", "--json").stdout)["sources"]
    assert listed[0]["documents"] == 3


def test_a_relocated_source_is_found_unchanged_at_its_new_place(copied, library, invoke):
    result = invoke("sources", "relocate", library / "docs", copied / "docs", "--store", copied / "store")
    assert result.exit_code == 0
    again = invoke("ingest", "--store", copied / "store", copied / "docs")
    assert "3 unchanged" in again.stdout
    assert "Embedded nothing" in again.stdout


def test_removing_a_source_asks_first(copied, library, invoke, terminal):
    arguments = ["sources", "remove", library / "docs", "--store", copied / "store"]
    declined = invoke(*arguments, input="n\n")
    assert declined.exit_code == 1
    assert declined.stdout == ""
    accepted = invoke(*arguments, input="y\n")
    assert accepted.exit_code == 0
    assert "3 documents" in accepted.stdout


def test_removing_a_source_with_yes_does_not_ask_and_the_files_stay(copied, library, invoke):
    result = invoke("sources", "remove", "--yes", library / "docs", "--store", copied / "store")
    assert result.exit_code == 0
    assert result.stderr.startswith("hint: run `ragstack purge --store ")
    assert (library / "docs" / "handbook.md").is_file()
    listed = invoke("sources", "--store", copied / "store")
    assert listed.stderr == "The store has no sources yet\n"


def test_an_unknown_root_is_an_error_with_a_hint(copied, invoke):
    result = invoke("sources", "remove", "--yes", "nowhere", "--store", copied / "store")
    assert result.exit_code == 1
    assert "hint: run `ragstack sources --store " in result.stderr
