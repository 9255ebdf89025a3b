"""Writes the commands that messages name so that they can be run as they stand.

A message of the library says `ragstack repair --apply`; run so, that would be about the store in use by
default, not the one that this command line named with `--store`. What commands do is not known here.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click

FLAGS = "ragstack.flags"
"""Where click's context keeps the settings that were given as flags, by name."""

_COMMAND = re.compile(r"`(ragstack [^`]+)`")


def command(*words: str | Path) -> str:
    """`ragstack` and these words in backticks, each quoted as the user's shell needs it."""
    return f"`ragstack {' '.join(_quoted(str(word)) for word in words)}`"


def with_store(text: str) -> str:
    """The text with `--store` in every command of it, if that is how this command line names the store."""
    context = click.get_current_context(silent=True)
    store = context.meta.get(FLAGS, {}).get("store") if context is not None else None
    if store is None:
        return text
    option = f" --store {_quoted(str(store))}"
    return _COMMAND.sub(lambda match: match[0] if "--store" in match[1] else f"`{match[1]}{option}`", text)


def _quoted(word: str) -> str:
    return subprocess.list2cmdline([word]) if sys.platform == "win32" else shlex.quote(word)
