"""`ragstack verify`: whether the store is whole; if not, what is damaged and which command mends it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import click

from ragstack.cli import console
from ragstack.cli.commands import with_store
from ragstack.cli.jsonable import jsonable
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.problems import Remedies, problem_lines, problems_as_json, remedies_for
from ragstack.cli.quantities import counted
from ragstack.cli.session import open_system
from ragstack.config import Settings
from ragstack.errors import StoreDamagedError

if TYPE_CHECKING:
    from ragstack.store.verification import Verification

_SEEDS = 1_000_000


def _share(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """`5%` as 0.05; `click.BadParameter` for anything but a percentage above 0."""
    if value is None:
        return None
    try:
        share = float(value.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not value.endswith("%") or not 0 < share <= 1:
        raise click.BadParameter(f"{value!r} is not a percentage such as 5%.")
    return share


@click.command(
    epilog=examples(
        "ragstack verify",
        "ragstack verify --deep",
        "ragstack verify --sample 5%",
        "ragstack verify --sample 5% --seed 7 --json",
    )
)
@click.option("--deep", is_flag=True, help="Read everything: recompute every checksum, compare every vector.")
@click.option(
    "--sample",
    callback=_share,
    metavar="N%",
    help="Do so for this share of the documents, drawn at random.",
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Draw the sample that had this seed.")
@json_option
@setting_options("store")
@click.pass_context
def verify(ctx: click.Context, deep: bool, sample: float | None, seed: int | None) -> None:
    """Check the store against itself.

    By default quickly: structure, counts, and the hashes of index files. Changes nothing; whatever is damaged
    is named with the command that mends it. Exits with 1 when something is.
    """
    if deep and sample is not None:
        raise click.UsageError("--deep checks everything; leave --sample out.")
    if seed is not None and sample is None:
        raise click.UsageError("--seed belongs to --sample.")
    share = 1.0 if deep else sample or 0.0
    found, remedies = _verify(read_settings(), share, secrets.randbelow(_SEEDS) if seed is None else seed)
    if wants_json():
        console.write_json(_document(found, share, remedies))
    else:
        console.write("\n".join(_page(found, share, remedies)))
    if not found.is_clean:
        ctx.exit(1)


def _verify(settings: Settings, share: float, seed: int) -> tuple[Verification, Remedies]:
    """A database that cannot even be opened is damage that was found, not a failure to look for it."""
    from ragstack.store.verification import Damage, Problem, Verification

    try:
        with open_system(settings, announce=_already_told) as system:
            found = system.verify(share=share, seed=seed)
            return found, remedies_for(system, found)
    except StoreDamagedError as error:
        problem = Problem(Damage.DATABASE, "ragstack.db", error.message)
        return Verification((problem,), 0, 0, 0, 0), Remedies(settings.store.value)


def _already_told(_text: str) -> None:
    """What opening the store says of damaged index files is among the problems."""


def _document(found: Verification, share: float, remedies: Remedies) -> dict[str, Any]:
    return {
        "clean": found.is_clean,
        "share": share,
        **jsonable(found),
        "problems": problems_as_json(found.problems, remedies),
    }


def _page(found: Verification, share: float, remedies: Remedies) -> list[str]:
    from ragstack.store.verification import Damage

    harmless = (Damage.STRAY_FILE, Damage.UNCHECKED)
    number = sum(problem.damage not in harmless for problem in found.problems)
    verdict = f"Damaged: {counted(number, 'problem')}" if number else "Nothing is damaged"
    if not number and not found.is_clean:
        verdict += ", as far as it could be checked"
    return [_scope(found, share), *problem_lines(found.problems, remedies), verdict]


def _scope(found: Verification, share: float) -> str:
    """What was checked, and how thoroughly."""
    from ragstack.store.verification import Damage

    if any(problem.damage is Damage.DATABASE for problem in found.problems):
        return "The check ended at the database file: what is in it cannot be relied on"
    held = ", ".join(
        [
            counted(found.documents, "document"),
            counted(found.chunks, "chunk"),
            counted(found.segments, "segment"),
        ]
    )
    if share >= 1:
        return f"Deep check of {held}: every text, checksum, vector and full-text row"
    if share > 0:
        return (
            f"Sample check of {held}: text, checksum and vector of {counted(found.chunks_checked, 'chunk')}"
            f" (`--sample {100 * share:g}% --seed {found.seed}`), and the whole of index files and full text"
        )
    more = with_store("`ragstack verify --deep`")
    return f"Quick check of {held}: structure, counts, hashes of index files; {more} reads everything"
