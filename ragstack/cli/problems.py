"""Says what is wrong with a store, and the exact next command for each kind of damage.

What is wrong is found by `ragstack.store.verification`; here it is only put into lines and JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragstack.cli import console, tables
from ragstack.cli.commands import command, with_store
from ragstack.cli.jsonable import jsonable

if TYPE_CHECKING:
    from ragstack.store.catalog import DocumentInfo
    from ragstack.store.verification import Damage, Problem, Verification
    from ragstack.system import RAGSystem


@dataclass(frozen=True, slots=True)
class Remedies:
    """What to do about damage in the store at `directory`, of whose documents `documents` are damaged.

    `repaired` says that `ragstack repair` has done what it can already.
    """

    directory: Path
    documents: Sequence[DocumentInfo] = ()
    repaired: bool = False

    def of(self, damage: Damage) -> str:
        """What to do about this kind of damage: commands that can be run as they stand."""
        from ragstack.store.verification import REMEDIES, Damage

        if damage in (Damage.TEXT, Damage.CHUNK) and self.documents:
            first = "" if self.repaired else with_store("run `ragstack repair --apply`, then ")
            return first + self.rereading()
        kept = (Damage.STRAY_FILE, Damage.UNCHECKED)
        if damage is Damage.DATABASE or (self.repaired and damage not in kept):
            return self._replacement()
        return with_store(REMEDIES[damage])

    def rereading(self) -> str:
        """How the damaged documents are read again once a repair has marked them for it."""
        from ragstack.store.sources import FOLDER, TEXTS

        files = [each for each in self.documents if each.source_kind != TEXTS]
        paths = [
            each.root if each.source_kind == FOLDER else f"{each.root.rstrip('/')}/{each.path}"
            for each in files
        ]
        steps = [f"run {with_store(command('ingest', *dict.fromkeys(paths)))}"] if paths else []
        names = [f"`{each.path}`" for each in self.documents if each.source_kind == TEXTS]
        steps += [f"add {', '.join(names)} again"] if names else []
        return " and ".join(steps)

    def _replacement(self) -> str:
        """What takes the place of a database that is beyond repair."""
        from ragstack.store.maintenance import BACKUPS

        place = f"{self.directory}-restored"
        backups = sorted(path for path in (self.directory / BACKUPS).glob("*") if path.is_dir())
        if backups:
            return f"run {command('restore', backups[-1], '--store', place)}"
        return (
            f"run `ragstack restore BACKUP --store {place}` if you have a backup,"
            f" else `ragstack ingest FOLDER --store {place}`"
        )


def remedies_for(system: RAGSystem, found: Verification) -> Remedies:
    """The remedies for what was found; looks up where the damaged documents came from, writing nothing."""
    damaged = {problem.document_id for problem in found.problems} - {None}
    if not damaged:
        return Remedies(system.path)
    with system.store.read(healing=False) as snapshot:
        return Remedies(system.path, [each for each in snapshot.documents() if each.document_id in damaged])


def problem_lines(problems: Sequence[Problem], remedies: Remedies) -> list[str]:
    """A block for each kind of damage: what to do about it, then one line a problem."""
    lines = []
    by_damage = attrgetter("damage")
    for damage, same in groupby(sorted(problems, key=by_damage), by_damage):
        lines.append(console.heading(f"{damage.value}:") + f" {console.safe_line(remedies.of(damage))}")
        lines += tables.columns([(problem.subject, problem.detail) for problem in same])
    return lines


def problems_as_json(problems: Sequence[Problem], remedies: Remedies) -> list[dict[str, Any]]:
    """The fields of each problem, and what to do about it."""
    return [jsonable(problem) | {"remedy": remedies.of(problem.damage)} for problem in problems]
