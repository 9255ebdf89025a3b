"""Settings: precedence, reasons, what files may say, and where the store is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack import config
from ragstack.chunking.settings import check_settings
from ragstack.config import Origin, Setting, load_settings, locate_store
from ragstack.errors import ConfigurationError, UsageError
from ragstack.records import ChunkerSettings


@pytest.fixture
def user_file(tmp_path):
    return tmp_path / "home" / "ragstack.toml"


@pytest.fixture
def project(tmp_path):
    """A folder with a project's store in it."""
    folder = tmp_path / "project"
    (folder / ".ragstack").mkdir(parents=True)
    return folder


@pytest.fixture
def load(user_file, project):
    def run(flags=None, environment=None, *, user="", beside_store="", directory=project):
        user_file.parent.mkdir(exist_ok=True)
        user_file.write_text(user, encoding="utf-8")
        (project / "ragstack.toml").write_text(beside_store, encoding="utf-8")
        return load_settings(flags, environment=environment or {}, directory=directory, user_file=user_file)

    return run


# ------------------------------------------------------------------------ precedence


@pytest.mark.parametrize(
    ("given_in", "expected", "origin"),
    [
        ({"flag", "environment", "project", "user"}, 101, Origin.FLAG),
        ({"environment", "project", "user"}, 102, Origin.ENVIRONMENT),
        ({"project", "user"}, 103, Origin.PROJECT),
        ({"user"}, 104, Origin.USER_FILE),
        (set(), config.DEFAULT_WINDOW, Origin.DEFAULT),
    ],
)
def test_the_strongest_source_that_names_a_setting_wins(load, given_in, expected, origin):
    settings = load(
        {"window": 101} if "flag" in given_in else {},
        {"RAGSTACK_WINDOW": "102"} if "environment" in given_in else {},
        beside_store="window = 103" if "project" in given_in else "",
        user="window = 104" if "user" in given_in else "",
    )
    assert (settings.window.value, settings.window.origin) == (expected, origin)


def test_every_setting_says_why_it_has_its_value(load, project, user_file):
    settings = load(
        {"budget": 300},
        {"RAGSTACK_TOP_K": "7"},
        beside_store="chunk_size = 200",
        user="model = 'intfloat/e5-small-v2'",
    )
    reasons = {name: setting.reason for name, setting in settings}
    assert reasons["budget"] == "flag `--budget`"
    assert reasons["top_k"] == "environment variable `RAGSTACK_TOP_K`"
    assert reasons["chunk_size"] == f"`{project / 'ragstack.toml'}`"
    assert reasons["model"] == f"`{user_file}`"
    assert reasons["window"].startswith("default: ")
    assert set(reasons) == set(config.SPECIFICATIONS)


def test_a_flag_that_was_not_given_does_not_count(load):
    assert load({"window": None}).window.origin is Origin.DEFAULT


@pytest.mark.parametrize("blank", ["", "  "])
def test_an_empty_environment_variable_counts_as_unset(load, blank):
    settings = load({}, {"RAGSTACK_WINDOW": blank, "RAGSTACK_OFFLINE": blank})
    assert settings.window.origin is Origin.DEFAULT
    assert settings.offline.origin is Origin.DEFAULT


@given(st.integers(1, 5_000))
def test_the_default_overlap_always_fits_the_chunk_size(chunk_size):
    assert 0 <= config.default_overlap(chunk_size) <= config.largest_overlap(chunk_size) < chunk_size
    assert config.default_overlap(config.DEFAULT_CHUNK_SIZE) == config.DEFAULT_OVERLAP


def test_a_small_chunk_size_brings_its_own_overlap(load):
    settings = load({"chunk_size": 40})
    assert (settings.overlap.value, settings.overlap.origin) == (20, Origin.DEFAULT)


def test_an_overlap_of_over_half_the_chunk_is_refused_naming_both_sources(load):
    """As by the chunker, but before anything is opened."""
    with pytest.raises(ConfigurationError) as caught:
        load({"overlap": 46}, {"RAGSTACK_CHUNK_SIZE": "90"})
    assert "flag `--overlap`" in caught.value.message
    assert "`RAGSTACK_CHUNK_SIZE`" in caught.value.message
    with pytest.raises(UsageError) as later:
        check_settings(ChunkerSettings(size=90, overlap=46), max_tokens=256, overhead=2)
    assert caught.value.hint == later.value.hint == "choose an overlap from 0 to 45, half of the chunk size"
    assert load({"overlap": 45}, {"RAGSTACK_CHUNK_SIZE": "90"}).overlap.value == 45


# --------------------------------------------------------------------------- offline


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_the_hubs_own_variable_means_offline_whatever_else_is_said(load, value):
    settings = load({}, {"HF_HUB_OFFLINE": value, "RAGSTACK_OFFLINE": "0"}, user="offline = false")
    assert settings.offline.value is True
    assert "`HF_HUB_OFFLINE`" in settings.offline.reason


def test_the_hubs_variable_set_to_zero_leaves_the_choice_to_the_rest(load):
    assert load({}, {"HF_HUB_OFFLINE": "0"}, user="offline = true").offline.origin is Origin.USER_FILE


# ----------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [("chunk_sise", "`chunk_size`"), ("top-k", "`top_k`"), ("Window", "`window`"), ("off_line", "`offline`")],
)
def test_an_unknown_key_is_reported_with_the_nearest_known_one(load, user_file, key, suggestion):
    (warning,) = load(user=f"{key} = 1").warnings
    assert f"`{key}`" in warning
    assert str(user_file) in warning
    assert warning.endswith(f"did you mean {suggestion}?")


def test_an_unknown_key_like_no_other_is_reported_without_a_guess(load):
    (warning,) = load(user="zebra = 1\nwindow = 99").warnings
    assert "did you mean" not in warning


def test_the_rest_of_a_file_with_an_unknown_key_still_counts(load):
    assert load(user="zebra = 1\nwindow = 99").window.value == 99


@pytest.mark.parametrize(
    "line", ["window = 'big'", "window = 0", "window = true", "window = 4096.5", "model = 3", "model = ''"]
)
def test_a_value_of_a_wrong_type_or_size_is_an_error_that_names_file_and_key(load, user_file, line):
    with pytest.raises(ConfigurationError) as caught:
        load(user=line)
    assert f"`{line.split()[0]}`" in caught.value.message
    assert str(user_file) in caught.value.message


@pytest.mark.parametrize(("variable", "text"), [("RAGSTACK_WINDOW", "many"), ("RAGSTACK_OFFLINE", "maybe")])
def test_a_wrong_environment_variable_is_an_error_that_names_it(load, variable, text):
    with pytest.raises(ConfigurationError, match=variable):
        load({}, {variable: text})


def test_a_file_that_is_not_toml_is_an_error_that_names_it_and_the_line(load, user_file):
    with pytest.raises(ConfigurationError, match="line 2") as caught:
        load(user="window = 5\nbudget = x\n")
    assert str(user_file) in caught.value.message


def test_a_file_of_undecodable_bytes_is_an_error_that_names_it(project, user_file):
    user_file.parent.mkdir()
    user_file.write_bytes(b"model = '\xff'")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={}, directory=project, user_file=user_file)
    assert str(user_file) in caught.value.message


def test_a_file_saved_by_notepad_with_a_byte_order_mark_is_read(project, user_file):
    user_file.parent.mkdir()
    user_file.write_text("window = 77", encoding="utf-8-sig")
    assert load_settings(environment={}, directory=project, user_file=user_file).window.value == 77


# --------------------------------------------------------------------- project files


@pytest.mark.parametrize(
    ("line", "name"),
    [("model = './evil-model'", "model"), ("store = '/elsewhere'", "store"), ("offline = false", "offline")],
)
def test_a_project_file_may_not_decide_which_model_or_store_sees_the_text(load, project, line, name):
    settings = load({}, {}, beside_store=line)
    (warning,) = settings.warnings
    assert f"`{name}`" in warning
    assert str(project / "ragstack.toml") in warning
    assert dict(settings)[name].reason != f"`{project / 'ragstack.toml'}`"
    assert settings.store.value == project / ".ragstack"


def test_a_refused_key_of_a_project_is_not_even_checked(load):
    assert load(beside_store="model = 7").model.origin is Origin.DEFAULT


def test_the_project_file_of_another_store_does_not_count(load, tmp_path):
    settings = load({"store": tmp_path / "other"}, beside_store="window = 103")
    assert settings.window.origin is Origin.DEFAULT


def test_a_project_file_counts_before_its_store_is_made(tmp_path, user_file):
    (tmp_path / "ragstack.toml").write_text("chunk_size = 99", encoding="utf-8")
    settings = load_settings({"store": ".ragstack"}, environment={}, directory=tmp_path, user_file=user_file)
    assert settings.chunk_size.value == 99
    assert not settings.store_exists


# ----------------------------------------------------------------- where the store is


@pytest.fixture
def nested(project):
    folder = project / "notes" / "2024"
    folder.mkdir(parents=True)
    return folder


def test_the_flag_is_stronger_than_the_environment_and_the_project(nested, tmp_path):
    location = locate_store(tmp_path / "flag", str(tmp_path / "variable"), nested)
    assert location.path == tmp_path / "flag"
    assert "--store" in location.reason


def test_the_environment_is_stronger_than_the_project(nested, tmp_path):
    location = locate_store(None, str(tmp_path / "variable"), nested)
    assert location.path == tmp_path / "variable"
    assert "RAGSTACK_STORE" in location.reason


def test_the_nearest_project_store_upwards_is_found(nested, project):
    location = locate_store(None, None, nested)
    assert location.path == project / ".ragstack"
    assert str(nested) in location.reason


def test_a_nearer_project_store_hides_the_outer_one(nested):
    (nested / ".ragstack").mkdir()
    assert locate_store(None, None, nested).path == nested / ".ragstack"


def test_a_file_named_like_a_project_store_is_not_one(nested, project):
    (nested / ".ragstack").write_text("", encoding="utf-8")
    assert locate_store(None, None, nested).path == project / ".ragstack"


def test_without_a_project_the_users_own_store_is_used(tmp_path):
    location = locate_store(None, None, tmp_path)
    assert location.path == config.user_store()
    assert location.origin is Origin.DEFAULT


def test_the_users_file_may_name_another_place_for_the_own_store(tmp_path):
    configured = Setting(tmp_path / "library", Origin.USER_FILE, "`ragstack.toml`")
    assert locate_store(None, None, tmp_path, configured).path == tmp_path / "library"


def test_relative_store_directories_are_taken_from_where_they_are_named(load, project, user_file, tmp_path):
    assert load({"store": "here"}).store.value == project / "here"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    settings = load(user="store = 'library'", directory=elsewhere)
    assert settings.store.value == user_file.parent / "library"


def test_a_tilde_is_the_home_directory(load, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    settings = load({"store": "~/store"}, user="model = '~/models/mini'")
    assert settings.store.value == tmp_path / "store"
    assert settings.model.value == str(tmp_path / "models" / "mini")


def test_locating_and_loading_create_nothing(tmp_path):
    load_settings({"store": tmp_path / "new"}, environment={}, directory=tmp_path, user_file=tmp_path / "no")
    assert list(tmp_path.iterdir()) == []


def test_importing_settings_loads_neither_platformdirs_nor_anything_heavy():
    code = (
        "import sys, ragstack.config;"
        "print([name for name in ('platformdirs', 'numpy', 'torch', 'click') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_a_path_object_and_its_text_name_the_same_store(load, project):
    assert load({"store": Path("s")}).store == load({"store": "s"}).store


# ------------------------------------------------------------------------- the reader


def test_a_project_file_may_limit_the_prompt_but_not_choose_who_reads_it(load):
    settings = load(beside_store="reader = 'http://elsewhere'\nmemory = '4GB'\nlatency = '2s'")
    (warning,) = settings.warnings
    assert "`reader`" in warning
    assert settings.reader.value is None
    assert (settings.memory.value, settings.latency.value) == ("4GB", "2s")


def test_the_default_window_is_not_asked_of_a_model_that_has_its_own(load):
    assert load().reader_demands()["window"] == config.DEFAULT_WINDOW
    assert load({"reader": "gpt2"}).reader_demands() == {
        "reader": "gpt2",
        "window": None,
        "memory": None,
        "latency": None,
    }
    assert load({"reader": "gpt2", "window": 512}).reader_demands()["window"] == 512


def test_without_a_reader_only_a_flag_asks_for_memory_or_latency(load):
    quiet = load({}, {"RAGSTACK_MEMORY": "8GB"}, user="latency = '5s'").reader_demands()
    assert (quiet["memory"], quiet["latency"]) == (None, None)
    assert load({"memory": "8GB"}).reader_demands()["memory"] == "8GB"
    named = load({"reader": "gpt2"}, {"RAGSTACK_MEMORY": "8GB"}).reader_demands()
    assert named["memory"] == "8GB"
