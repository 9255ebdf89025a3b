"""`ragstack sources`: the folders that the store was fed from, and what to do when one moves or goes."""

from __future__ import annotations

from pathlib import Path

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
from ragstack.cli.places import root_name
from ragstack.cli.quantities import counted
from ragstack.cli.session import open_system


@click.group(
    invoke_without_command=True,
    epilog=examples(
        "ragstack sources",
        "ragstack sources relocate /media/old/notes ~/notes",
        "ragstack sources remove ~/notes",
    ),
)
@json_option
@setting_options("store")
@click.pass_context
def sources(ctx: click.Context) -> None:
    """List the roots that documents come from; relocate or remove one."""
    if ctx.invoked_subcommand is not None:
        return
    with open_system(read_settings()) as system:
        found = system.sources()
    if wants_json():
        console.write_json({"sources": found})
    elif found:
        header = ("documents", "stale", "failed", "kind", "root")
        rows = [
            (f"{each.documents:,}", f"{each.stale:,}", f"{each.failures:,}", each.kind, root_name(each.root))
            for each in found
        ]
        console.write("\n".join(tables.columns([header, *rows], right=(0, 1, 2), indent="")))
    else:
        console.note("The store has no sources yet")


@sources.command(
    epilog=examples(
        "ragstack sources relocate /media/old/notes ~/notes",
    )
)
@click.argument("old")
@click.argument("new", type=click.Path(path_type=Path))
@setting_options("store")
def relocate(old: str, new: Path) -> None:
    """Tell the store that the root OLD is now at NEW.

    Nothing is read or embedded again: the next ingest of NEW finds its documents unchanged.
    """
    with open_system(read_settings()) as system:
        system.relocate_source(old, new)
    console.write(f"Relocated `{console.safe_line(old)}` to `{console.safe_line(str(new))}`")


@sources.command(
    epilog=examples(
        "ragstack sources remove ~/notes",
        "ragstack sources remove --yes ~/notes",
        "ragstack sources remove --texts",
    )
)
@click.argument("root", required=False)
@click.option("--texts", is_flag=True, help="Remove the texts that were added by name.")
@yes_option
@setting_options("store")
@click.pass_context
def remove(ctx: click.Context, root: str | None, texts: bool, yes: bool) -> None:
    """Remove the root ROOT and all its documents from the store; the files themselves stay."""
    if (root is None) is not texts:
        raise click.UsageError("Give either ROOT or --texts.")
    with open_system(read_settings()) as system:
        if root is not None:
            shown = f"`{root}`"
            console.confirm(f"Remove {shown} and its documents from `{system.path}`?", yes=yes)
            removed = system.remove_source(root)
        else:
            shown = "the texts added by name"
            console.confirm(f"Remove {shown} from `{system.path}`?", yes=yes)
            removed = system.remove_texts()
    if root is None and not removed:
        console.note("There are no texts added by name")
        ctx.exit(1)
    files = "; the files are untouched" if root is not None else ""
    console.write(console.safe_line(f"Removed {shown}: {counted(removed, 'document')}{files}"))
    console.hint("run `ragstack purge` to erase them from the store's files too")
