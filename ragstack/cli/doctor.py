"""`ragstack doctor`: whether this machine and the store are fit for each other, and what to do where not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import click

from ragstack.cli import console, tables
from ragstack.cli.commands import with_store
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.quantities import counted

if TYPE_CHECKING:
    from ragstack.inspection.checks import Check


@click.command(
    epilog=examples(
        "ragstack doctor",
        "ragstack doctor --thorough",
        "ragstack doctor --store .ragstack --json",
    )
)
@click.option(
    "--thorough",
    is_flag=True,
    help="Also load the embedding model, and compare its vectors with those of when the store was made.",
)
@json_option
@setting_options("model", "offline", "store")
@click.pass_context
def doctor(ctx: click.Context, thorough: bool) -> None:
    """Examine the machine, the libraries, the model and the store.

    Works without a store, too. Exits with 1 when there is a problem; a warning alone is none.
    """
    from ragstack.inspection.checks import Status
    from ragstack.inspection.doctor import diagnose

    settings = read_settings()
    checks = diagnose(
        settings.store.value,
        model=settings.store_demands()["model"],
        offline=settings.offline.value,
        thorough=thorough,
    )
    problems, warnings = (
        sum(check.status is status for check in checks) for status in (Status.PROBLEM, Status.WARNING)
    )
    if wants_json():
        document = {"store": settings.store.value, "problems": problems, "warnings": warnings}
        console.write_json(document | {"checks": checks})
    else:
        console.write("\n".join(_page(checks)))
        console.write(f"{counted(len(checks), 'check')}: {_verdict(problems, warnings)}")
    if problems:
        ctx.exit(1)


def _page(checks: Sequence[Check]) -> list[str]:
    """A line a check, and below it what to do."""
    lines = tables.columns([(check.status.value, check.name, check.detail) for check in checks], indent="")
    remedies = [
        [f"         -> {console.safe_line(with_store(check.remedy))}"] if check.remedy else []
        for check in checks
    ]
    return list(chain.from_iterable([line, *remedy] for line, remedy in zip(lines, remedies, strict=True)))


def _verdict(problems: int, warnings: int) -> str:
    if problems or warnings:
        return f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}"
    return "all is well"
