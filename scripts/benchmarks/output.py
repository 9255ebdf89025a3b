"""What every benchmark prints beside its table: the machine, progress on stderr, JSON in a file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from ragstack.cli import console
from ragstack.cli.jsonable import jsonable
from ragstack.evaluation.machine import Machine

_EVERY_SECONDS = 1.0


def print_machine(machine: Machine) -> None:
    """Two lines: what the hardware is, and what runs on it."""
    memory = f"{machine.memory / 2**30:.0f} GiB"
    console.write(f"{machine.processor}, {machine.cores} cores, {memory}, {machine.system}")
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    commit = f"commit {machine.commit}, " if machine.commit else ""
    console.write(f"{commit}Python {machine.python}, {packages}")


def write_json_file(path: Path, value: object) -> None:
    """`value` as one JSON document in the file `path`."""
    path.write_text(json.dumps(jsonable(value), indent=2) + "\n", encoding="utf-8")


class ProgressLine:
    """Shows on a terminal's stderr how many of how many are done, with a rate and an estimate."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = self._shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """So many of so many are done."""
        present = time.monotonic()
        if not sys.stderr.isatty() or (done < total and present - self._shown < _EVERY_SECONDS):
            return
        self._shown = present
        rate = done / max(present - self._started, 1e-9)
        left = f"{(total - done) / rate:.0f} s left" if done < total else "done"
        end = "" if done < total else "\n"
        sys.stderr.write(f"\r\x1b[K{self._what} {done:,} of {total:,}, {rate:.1f}/s, {left}{end}")
        sys.stderr.flush()
