"""The campaign's book: what was tried, what held, what failed, with which seed."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from faults.children import ViolationError


@dataclass(slots=True)
class Row:
    """One line of the table."""

    tried: int = 0
    failures: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(slots=True)
class Campaign:
    """One run: its seed, how thorough it is, where its stores lie, and its table."""

    seed: int
    quick: bool
    memory: Path
    """A folder whose files are quick to sync; nothing is lost there by killing a process."""

    progress: Path | None = None
    share: float = 1.0
    """Of everything that a full run tries: to run it in slices, each with a seed of its own."""

    rows: dict[str, Row] = field(default_factory=dict)
    _folders: int = 0

    def amount(self, *, quick: int, full: int) -> int:
        return quick if self.quick else max(quick, round(self.share * full))

    def random(self, *names: object) -> random.Random:
        """Numbers that depend on the seed and the names only."""
        return random.Random(":".join(map(str, (self.seed, *names))))

    def folder(self, name: str) -> Path:
        """A new empty folder."""
        self._folders += 1
        folder = self.memory / f"{self._folders:05}-{name}"
        folder.mkdir(parents=True)
        return folder

    def row(self, fault: str) -> Row:
        return self.rows.setdefault(fault, Row())

    def skip(self, fault: str, reason: str) -> None:
        """Note that a fault could not be tried here."""
        self.row(fault).note = f"skipped: {reason}"

    @contextmanager
    def trial(self, fault: str, name: object = "") -> Iterator[None]:
        """One try of a fault; a ViolationError in it is written down and the campaign goes on."""
        row = self.row(fault)
        row.tried += 1
        try:
            yield
        except ViolationError as violation:
            row.failures.append(f"{name}: {violation}")
            self.tell(f"FAILED {fault} ({name}, seed {self.seed}): {violation}")
        if row.tried % 100 == 0:
            self.tell(f"{fault}: {row.tried} tried, {len(row.failures)} failed")

    def tell(self, line: str) -> None:
        """Progress, to stderr and the progress file."""
        stamped = f"{time.strftime('%H:%M:%S')} {line}\n"
        sys.stderr.write(stamped)
        if self.progress is not None:
            with self.progress.open("a") as file:
                file.write(stamped)

    @property
    def failed(self) -> int:
        return sum(len(row.failures) for row in self.rows.values())

    def table(self) -> str:
        """Fault, tried, held, failed, seed."""
        width = max([5, *map(len, self.rows)])
        lines = [f"{'fault':<{width}}  {'tried':>6}  {'held':>6}  {'failed':>6}  seed"]
        for fault, row in self.rows.items():
            held = row.tried - len(row.failures)
            counts = f"{row.tried:>6}  {held:>6}  {len(row.failures):>6}"
            lines.append(f"{fault:<{width}}  {counts}  {self.seed}  {row.note}".rstrip())
        return "\n".join(lines)
