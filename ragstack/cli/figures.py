"""`ragstack figures`: pictures of a model's memory, of attention, and of what is in the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragstack.cli import console
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.session import open_system
from ragstack.errors import UsageError

if TYPE_CHECKING:
    from ragstack.config import Settings
    from ragstack.inspection.figures.gather import Missing, Wanted

DEFAULT_MODEL = "llama-3.1-8b"


@click.command(
    epilog=examples(
        "ragstack figures pictures",
        'ragstack figures pictures --question "How long is the notice period?"',
        "ragstack figures pictures --reader qwen3-4b --memory 8GB --theme dark",
        "ragstack figures pictures --dataset data --only strategies",
    )
)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option("--question", metavar="TEXT", help="Draw the scores of this question's candidates.")
@click.option(
    "--dataset",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Compare the context strategies on this folder's documents and questions (slow).",
)
@click.option(
    "--questions",
    type=click.IntRange(min=1),
    metavar="N",
    help="Ask so many of the data set's questions, evenly drawn, rather than a few.",
)
@click.option("--document", "document_id", type=click.IntRange(min=1), metavar="ID", help="Draw its windows.")
@click.option("--only", multiple=True, metavar="NAME", help="Draw only this figure; may be repeated.")
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@setting_options("reader", "memory")
@json_option
@setting_options("offline", "store")
def figures(
    out: Path,
    question: str | None,
    dataset: Path | None,
    questions: int | None,
    document_id: int | None,
    only: tuple[str, ...],
    theme: str,
) -> None:
    """Draw figures into DIR: one sheet, and each as PNG, SVG and CSV.

    Memory and attention are computed for the model of --reader and measured on this machine; the rest comes
    from the store. A figure whose input is missing is left out, with the reason.
    """
    from ragstack.inspection.figures.gather import QUESTIONS, gather
    from ragstack.inspection.figures.sheet import write_figures
    from ragstack.inspection.figures.theme import THEMES

    settings = read_settings()
    wanted = replace(
        _wanted(settings),
        question=question,
        dataset=dataset,
        questions=questions or QUESTIONS,
        document_id=document_id,
    )
    with open_system(settings) as system:
        made, missing = gather(
            system, wanted, _names(only), progress=lambda name: console.note(f"measuring: {name}")
        )
    if not made:
        raise UsageError(
            "there is nothing to draw: " + "; ".join(f"{each.name}: {each.reason}" for each in missing),
            hint="run `ragstack figures --help` for what each figure needs",
        )
    files = write_figures(made, out, THEMES[theme])
    _say_missing(missing)
    if wants_json():
        console.write_json({"files": files, "figures": [each.name for each in made], "missing": missing})
    else:
        console.write("\n".join(console.safe_line(str(path)) for path in files))


def _names(only: tuple[str, ...]) -> list[str] | None:
    from ragstack.inspection.figures.gather import FIGURES

    for name in only:
        if name not in FIGURES:
            known = ", ".join(f"`{each}`" for each in FIGURES)
            raise UsageError(f"there is no figure `{name}`", hint=f"use one of {known}")
    return list(only) or None


def _wanted(settings: Settings) -> Wanted:
    """What follows from the settings: the model, how it is run, and with what memory."""
    from ragstack.context.hardware import available_memory
    from ragstack.context.reader_plans import plan_reader
    from ragstack.inspection.figures.gather import Wanted

    plan = plan_reader(settings.reader.value or DEFAULT_MODEL, memory=settings.memory.value, tells_time=False)
    if not plan.architecture.is_known:
        raise UsageError(
            f"the layers of {plan.architecture.name} are not known, so there is nothing to compute",
            hint="name its config.json or GGUF file with `--reader`",
        )
    return Wanted(
        architecture=plan.architecture,
        deployment=plan.deployment,
        memory=plan.memory or available_memory(),
    )


def _say_missing(missing: list[Missing]) -> None:
    for each in missing:
        console.note(f"not drawn: {each.name}: {each.reason}")
