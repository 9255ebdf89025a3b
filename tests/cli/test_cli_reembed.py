"""`ragstack reembed`: another model, other chunks, and an interruption that loses nothing."""

from __future__ import annotations

import json

import pytest

from ragstack.config import DEFAULT_CHUNK_SIZE, DEFAULT_OVERLAP


def index_of(run):
    overview = json.loads(run("inspect", "--json").stdout)
    return overview["embedder"]["name"], overview["chunker"]["size"], overview["chunker"]["overlap"]


def test_another_model_takes_the_place_of_the_old_one(run):
    result = run("reembed", "--model", "other/model")
    assert result.exit_code == 0
    embedded, index = result.stdout.splitlines()
    assert embedded.startswith("Embedded 3 documents anew (")
    size, overlap = DEFAULT_CHUNK_SIZE, DEFAULT_OVERLAP
    described = f"chunks of {size} tokens, {overlap} shared by neighbours"
    assert index == f"The index is that of `other/model`, {described}"
    assert index_of(run) == ("other/model", size, overlap)
    assert run("search", "notice").exit_code == 0
    assert run("verify", "--deep").exit_code == 0


def test_other_chunks_keep_the_model(run):
    name, *_ = index_of(run)
    assert run("reembed", "--chunk-size", "20", "--overlap", "5").exit_code == 0
    assert index_of(run) == (name, 20, 5)


def test_what_is_as_asked_already_is_left_alone(run):
    result = run("reembed", "--chunk-size", str(DEFAULT_CHUNK_SIZE))
    assert result.exit_code == 0
    assert result.stdout.startswith("Nothing to do: the index is that of `")


def test_settings_of_the_environment_are_for_new_stores(run, monkeypatch):
    monkeypatch.setenv("RAGSTACK_CHUNK_SIZE", "20")
    monkeypatch.setenv("RAGSTACK_OVERLAP", "5")
    assert run("reembed").stdout.startswith("Nothing to do")


def test_settings_that_do_not_fit_are_refused_and_the_index_stays(run):
    before = index_of(run)
    result = run("reembed", "--chunk-size", "20")
    assert result.exit_code == 2
    assert "hint: choose an overlap from 0 to 10, half of the chunk size" in result.stderr
    assert index_of(run) == before
    assert run("search", "notice").exit_code == 0


def test_the_refusal_of_another_model_names_the_command_that_lets_it_in(run, next_command):
    refused = run("ingest", "docs", "--model", "other/model")
    assert refused.exit_code == 1
    reembedded = next_command(refused.stderr)
    assert reembedded.exit_code == 0, reembedded.output
    assert run("ingest", "docs", "--model", "other/model").exit_code == 0


@pytest.fixture
def interrupted(run, monkeypatch):
    """Ctrl-C after the first document."""
    with monkeypatch.context() as patch:
        patch.setattr("ragstack.ingestion.batch.FLUSH_DOCUMENTS", 1)

        def interrupt(self, outcome):
            raise KeyboardInterrupt

        patch.setattr("ragstack.cli.progress.WarningsOnly.file_done", interrupt)
        return run("reembed", "--model", "other/model")


def test_control_c_says_that_the_old_index_stays_and_how_to_go_on(run, interrupted):
    assert (interrupted.exit_code, interrupted.stdout) == (1, "")
    told, hint = interrupted.stderr.splitlines()
    assert told.startswith("Interrupted: the old index stays in use")
    assert hint == "hint: run the same command again to go on"
    assert index_of(run)[0] != "other/model"
    assert run("search", "notice").exit_code == 0


def test_the_same_command_goes_on_where_it_was_interrupted(run, interrupted):
    result = run("reembed", "--model", "other/model")
    assert result.stdout.startswith("Embedded 2 documents anew")
    assert index_of(run)[0] == "other/model"
    assert run("verify", "--deep").exit_code == 0


def test_an_empty_store_has_nothing_to_embed(invoke, folder, light_models):
    (folder / "empty").mkdir()
    invoke("ingest", "empty", "--store", "store")
    result = invoke("reembed", "--store", "store")
    assert result.exit_code == 2
    assert "hint: run `ragstack ingest FOLDER --store store` first" in result.stderr
