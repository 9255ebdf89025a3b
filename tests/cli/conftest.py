"""A command line that sees nothing of the machine it is tested on: own home, folder and environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

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
