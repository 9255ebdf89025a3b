"""Runs commands as processes of their own and measures them from outside: wall time and peak memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from statistics import median

from ragstack.errors import RagstackError

# Looking at all processes takes a millisecond or two, which the measured ones must share.
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    """One process: its wall time, and the most memory it and its children held together (bytes)."""

    seconds: float
    peak_memory: int
    output: str


def ragstack(*arguments: object) -> list[str]:
    """The command line of a ragstack command in this interpreter."""
    return [sys.executable, "-m", "ragstack", *map(str, arguments)]


def run_measured(command: Sequence[str], *, may_fail: bool = False) -> Run:
    """Run a command to its end; RagstackError with its last words unless it succeeds or `may_fail`."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True
        )
        memory = _PeakMemory(process.pid)
        process.wait()
        seconds = time.perf_counter() - started
        peak = memory.stop()
        output.seek(0)
        said = output.read()
    if process.returncode != 0 and not may_fail:
        last = (said.strip() or "no output").splitlines()[-1]
        raise RagstackError(f"`{' '.join(command[:4])} ...` failed: {last}")
    return Run(seconds, peak, said)


class _PeakMemory(threading.Thread):
    """Watches the sum of resident memory of a process and its children."""

    def __init__(self, process_id: int) -> None:
        super().__init__()
        self._process_id = process_id
        self._peak = 0
        self._ended = threading.Event()
        self.start()

    def stop(self) -> int:
        """The highest sum seen, in bytes."""
        self._ended.set()
        self.join()
        return self._peak

    def run(self) -> None:
        psutil = import_module("psutil")  # by name: it ships no types to check against
        try:
            watched = psutil.Process(self._process_id)
            while not self._ended.wait(_POLL_SECONDS):
                family = [watched, *watched.children(recursive=True)]
                self._peak = max(self._peak, sum(each.memory_info().rss for each in family))
        except psutil.Error:  # it has ended
            return


def in_turns(
    commands: Mapping[str, Sequence[str]], rounds: int, tell: Callable[[int, int], None]
) -> dict[str, list[Run]]:
    """Every command `rounds` times, in turns so that a busy moment of the machine falls on all alike."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(rounds):
        for place, (name, command) in enumerate(commands.items()):
            runs[name].append(run_measured(command, may_fail=True))
            tell(number * len(commands) + place + 1, rounds * len(commands))
    return runs


def typical_seconds(runs: Sequence[Run]) -> float:
    """The median wall time."""
    return median(run.seconds for run in runs)
