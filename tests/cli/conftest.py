"""A command line that sees nothing of the machine it is tested on: own home, folder and environment."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from dataclasses import replace

import pytest
from click.testing import CliRunner
from deterministic_embedder import DeterministicEmbedder

from ragstack.cli import cli


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, empty and outside any project."""
    for name in list(os.environ):
        if name.startswith("RAGSTACK_") or name in {"NO_COLOR", "FORCE_COLOR", "HF_HUB_OFFLINE"}:
            monkeypatch.delenv(name)
    for variable in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "LOCALAPPDATA", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def invoke():
    """Run the command line in this process; stdout and stderr are kept apart."""

    def run(*arguments, **options):
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], **options)

    return run


@pytest.fixture
def spawn():
    """Run the command line in a process of its own."""

    def run(*arguments, code=None, **options):
        start = ["-c", code] if code else ["-m", "ragstack"]
        return subprocess.run(
            [sys.executable, *start, *map(str, arguments)],
            capture_output=True,
            timeout=120,
            check=False,
            **{"stdin": subprocess.DEVNULL, "text": True, **options},
        )

    return run


class NamedEmbedder(DeterministicEmbedder):
    """Another model for every name."""

    def __init__(self, name):
        super().__init__(seed=zlib.crc32(name.encode()))
        self.name = name

    @property
    def fingerprint(self):
        return replace(super().fingerprint, name=self.name)


@pytest.fixture
def light_models(monkeypatch):
    """Models of any name, quick and without files, for commands that only need vectors of some kind."""

    def open_embedder(name=None, *, offline=False, announce=None):
        return NamedEmbedder(name)

    monkeypatch.setattr("ragstack.embedding.open.open_embedder", open_embedder)


TEXTS = {
    "leave.md": "# Leave\n\nEvery employee has thirty days of paid leave a year.\n",
    "notice.md": "# Notice\n\nThe notice period is six weeks to the end of a quarter.\n",
    "travel.txt": "Trains are booked in second class.\n",
}


@pytest.fixture
def library(folder, light_models, invoke):
    """A folder `docs` of three documents, and `store`, which was made of it, in the working directory."""
    (folder / "docs").mkdir()
    for name, text in TEXTS.items():
        (folder / "docs" / name).write_text(text, encoding="utf-8")
    result = invoke("ingest", "--store", "store", "docs")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def run(invoke, library):
    """Run a command on the store of `library`."""

    def with_store(*arguments, **options):
        return invoke(*arguments, "--store", "store", **options)

    return with_store


@pytest.fixture
def execute(library):
    """Change rows behind the back of the store of `library`, or read them."""

    def statements(*texts):
        with closing(sqlite3.connect(library / "store" / "ragstack.db")) as connection:
            rows = [connection.execute(text).fetchall() for text in texts]
            connection.commit()
        return rows[-1]

    return statements


@pytest.fixture
def terminal(monkeypatch):
    """Somebody sits at the terminal and can be asked."""
    monkeypatch.setattr("ragstack.cli.console.has_terminal", lambda: True)


@pytest.fixture
def next_command(invoke):
    """Run the command that a message names, word by word as it stands there."""

    def run_it(message, *extra):
        found = re.search(r"`ragstack ([^`]+)`", message)
        assert found is not None, message
        return invoke(*shlex.split(found[1]), *extra)

    return run_it
