"""The commands that messages name can be run as they stand."""

from __future__ import annotations

import shlex
import sys

import click
import pytest

from ragstack.cli.commands import FLAGS, command, with_store


@pytest.fixture
def named():
    """As if the command line had `--store` with this directory."""

    def with_flag(store):
        context = click.Context(click.Command("x"))
        context.meta[FLAGS] = {"store": store}
        return context

    return with_flag


def test_a_store_that_was_named_is_named_in_every_command_of_a_message(named):
    with named("my store"):
        assert with_store("run `ragstack repair`, then `ragstack ingest X`; not `pip install x`") == (
            "run `ragstack repair --store 'my store'`, then `ragstack ingest X --store 'my store'`;"
            " not `pip install x`"
        )


def test_a_command_that_names_a_store_keeps_it(named):
    with named("old"):
        assert with_store("`ragstack restore B --store new`") == "`ragstack restore B --store new`"


def test_without_a_named_store_and_outside_a_command_line_messages_stay_as_they_are():
    assert with_store("run `ragstack repair`") == "run `ragstack repair`"
    with click.Context(click.Command("x")):
        assert with_store("run `ragstack repair`") == "run `ragstack repair`"


@pytest.mark.skipif(sys.platform == "win32", reason="quotes for a POSIX shell")
@pytest.mark.parametrize("word", ["a b", "it's", "$HOME", "`x`"])
def test_words_survive_the_shell(word):
    assert shlex.split(command("ingest", word).strip("`"))[-1] == word


def test_an_error_on_a_named_store_tells_the_command_for_that_store(invoke, folder):
    result = invoke("inspect", "--store", "no where")
    assert "hint: run `ragstack ingest FOLDER --store 'no where'` to make one" in result.stderr


def test_a_project_store_needs_no_flag(invoke, folder):
    (folder / ".ragstack").mkdir()
    assert "hint: run `ragstack ingest FOLDER` to make one" in invoke("inspect").stderr
