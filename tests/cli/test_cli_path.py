"""`ragstack path`: which store, every setting, and why."""

from __future__ import annotations

import json

from ragstack.config import SPECIFICATIONS


def test_the_first_line_is_the_directory_and_the_second_says_why(invoke, folder):
    first, second, third = invoke("path", "--store", folder / "here").stdout.splitlines()[:3]
    assert first == str(folder / "here")
    assert second.strip() == "flag `--store`"
    assert "`ragstack ingest PATH` makes it" in third


def test_the_store_is_found_in_the_order_flag_environment_project_user(invoke, folder, monkeypatch):
    def found(*arguments):
        document = json.loads(invoke("path", "--json", *arguments).stdout)
        return document["store"]["path"], document["settings"]["store"]["origin"]

    assert found()[1] == "default"
    (folder / ".ragstack").mkdir()
    assert found() == ((folder / ".ragstack").as_posix(), "project")
    monkeypatch.setenv("RAGSTACK_STORE", str(folder / "variable"))
    assert found() == ((folder / "variable").as_posix(), "environment")
    assert found("--store", "flag") == ((folder / "flag").as_posix(), "flag")


def test_every_setting_is_shown_with_its_reason(invoke, monkeypatch):
    monkeypatch.setenv("RAGSTACK_WINDOW", "8192")
    output = invoke("path").stdout
    assert all(name in output for name in SPECIFICATIONS)
    (line,) = [line for line in output.splitlines() if line.split()[:1] == ["window"]]
    assert line.split(maxsplit=2)[1:] == ["8192", "environment variable `RAGSTACK_WINDOW`"]


def test_json_holds_every_setting_with_value_origin_and_reason(invoke):
    document = json.loads(invoke("path", "--json").stdout)
    assert set(document["settings"]) == set(SPECIFICATIONS)
    assert all(set(setting) == {"value", "origin", "reason"} for setting in document["settings"].values())
    assert document["store"]["exists"] is False


def test_a_misspelt_setting_and_a_refused_one_are_warnings_on_stderr(invoke, folder):
    (folder / ".ragstack").mkdir()
    (folder / "ragstack.toml").write_text("modle = 'x'\nmodel = './evil'\nwindow = 999", encoding="utf-8")
    result = invoke("path")
    assert result.exit_code == 0
    typo, refused = result.stderr.splitlines()
    assert typo.startswith("warning: unknown setting `modle`")
    assert refused.startswith("warning: `model` in `")
    assert "evil" not in result.stdout
    assert "999" in result.stdout


def test_nothing_is_created(invoke, folder):
    invoke("path", "--store", "somewhere")
    assert list(folder.iterdir()) == []


def test_a_store_directory_with_a_hostile_name_is_printed_harmlessly(invoke, folder):
    result = invoke("path", "--store", "a\x1b[31m\nb")
    assert result.stdout.splitlines()[0] == str(folder / r"a\x1b[31m\nb")
