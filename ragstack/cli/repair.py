"""`ragstack repair`: mends what `ragstack verify --deep` finds, after a backup, or says what it would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragstack.cli import console, tables
from ragstack.cli.options import (
    examples,
    json_option,
    read_settings,
    setting_options,
    wants_json,
    yes_option,
)
from ragstack.cli.places import document_name
from ragstack.cli.problems import Remedies, problem_lines, problems_as_json, remedies_for
from ragstack.cli.quantities import counted
from ragstack.cli.session import open_system
from ragstack.config import Settings
from ragstack.errors import StoreDamagedError

if TYPE_CHECKING:
    from ragstack.store.catalog import DocumentInfo
    from ragstack.store.maintenance import Repair
    from ragstack.store.verification import Verification
    from ragstack.system import RAGSystem


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was wrong and what mends it; once that is done, the backup and what is `left`.

    `marked` are the documents whose files are to be read again.
    """

    found: Verification
    repairs: Sequence[Repair]
    backup: Path | None
    left: Verification
    marked: Sequence[DocumentInfo]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to do."""
        return self.left.is_clean and not self.marked


@click.command(
    epilog=examples(
        "ragstack repair",
        "ragstack repair --apply",
        "ragstack repair --apply --yes --json",
    )
)
@click.option("--apply", is_flag=True, help="Do it, after a backup of the store as it is.")
@yes_option
@json_option
@setting_options("store")
@click.pass_context
def repair(ctx: click.Context, apply: bool, yes: bool) -> None:
    """Mend what is damaged in the store, or say what would be done.

    Index files and full-text rows are made anew from what the database holds. No document is deleted: what
    the store cannot mend by itself is marked, and the next ingest reads its file again. Exits with 1 while
    damage is left.
    """
    outcome, remedies = _run(read_settings(), apply=apply, yes=yes)
    if wants_json():
        console.write_json(_document(outcome, remedies))
    else:
        console.write("\n".join(_page(outcome, remedies)))
    if outcome.backup is None and outcome.repairs:
        console.hint("run `ragstack repair --apply` to do it")
    elif outcome.marked:
        console.hint(remedies.rereading())
    if not outcome.is_whole:
        ctx.exit(1)


def _run(settings: Settings, *, apply: bool, yes: bool) -> tuple[_Outcome, Remedies]:
    try:
        with open_system(settings, announce=_already_told) as system:
            if not apply:
                outcome = _look(system)
                return outcome, remedies_for(system, outcome.found)
            outcome = _mend(system, yes=yes)
            return outcome, Remedies(system.path, outcome.marked, repaired=True)
    except StoreDamagedError as error:
        from ragstack.store.verification import Damage

        remedies = Remedies(settings.store.value)
        raise StoreDamagedError(error.message, hint=remedies.of(Damage.DATABASE)) from error


def _already_told(_text: str) -> None:
    """What opening the store says of damaged index files is among the problems."""


def _look(system: RAGSystem) -> _Outcome:
    found, repairs, _ = system.repair()
    return _Outcome(found, repairs, None, found, ())


def _mend(system: RAGSystem, *, yes: bool) -> _Outcome:
    """Show the plan and ask, unless told not to; mend; and look again, for no repair is simply believed."""
    if not yes:
        planned = _look(system)
        if not planned.repairs:
            return planned
        for line in _plan(planned.repairs):
            console.note(line)
        console.confirm(f"Back `{system.path}` up and do this?", yes=yes)
    found, repairs, backup = system.repair(apply=True)
    left = system.verify(share=1.0) if repairs else found
    return _Outcome(found, repairs, backup, left, _marked(system))


def _marked(system: RAGSystem) -> list[DocumentInfo]:
    from ragstack.store.maintenance import DAMAGED

    with system.store.read() as snapshot:
        return [each for each in snapshot.documents() if each.stale_reason == DAMAGED]


def _document(outcome: _Outcome, remedies: Remedies) -> dict[str, Any]:
    return {
        "applied": outcome.backup is not None,
        "backup": outcome.backup,
        "clean": outcome.is_whole,
        "problems": outcome.found.problems,
        "repairs": outcome.repairs,
        "left": problems_as_json(outcome.left.problems, remedies),
        "marked": [document_name(each) for each in outcome.marked],
    }


def _page(outcome: _Outcome, remedies: Remedies) -> list[str]:
    if outcome.backup is None:
        lines = problem_lines(outcome.found.problems, remedies)
        lines += [*_plan(outcome.repairs), "Nothing was changed"] if outcome.repairs else []
    else:
        lines = [f"Backed up to `{console.safe_line(str(outcome.backup))}`", *_steps("Done", outcome.repairs)]
        if not outcome.left.is_clean:
            lines += [console.heading("Left"), *problem_lines(outcome.left.problems, remedies)]
    if outcome.is_whole:
        lines.append("Nothing is damaged")
    elif outcome.marked:
        lines.append(f"Marked to be read again: {counted(len(outcome.marked), 'document')}")
    return lines


def _plan(repairs: Sequence[Repair]) -> list[str]:
    return _steps("To be done, after a backup", repairs)


def _steps(title: str, repairs: Sequence[Repair]) -> list[str]:
    return [f"{title}:", *tables.columns([(repair.subject, repair.action) for repair in repairs])]
