"""`ragstack sources`: the folders that the store was fed from, and what to do when one moves or goes."""

from __future__ import annotations

from pathlib import Path

import click

from ragstack.cli import console, tables
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
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
            (f"{each.documents:,}", f"{each.stale:,}", f"{each.failures:,}", each.kind, each.root or "-")
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
    )
)
@click.argument("root")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@setting_options("store")
def remove(root: str, yes: bool) -> None:
    """Remove the root ROOT and all its documents from the store; the files themselves stay."""
    shown = console.safe_line(root)
    with open_system(read_settings()) as system:
        if not yes:
            click.confirm(f"Remove `{shown}` and its documents from `{system.path}`?", abort=True, err=True)
        documents = system.remove_source(root)
    console.write(f"Removed `{shown}` and its {documents:,} documents; the files are untouched")
