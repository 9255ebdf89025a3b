"""`ragstack backup`: a copy of the store as of one moment, while others may read and write it."""

from __future__ import annotations

from pathlib import Path

import click

from ragstack.cli import console
from ragstack.cli.commands import command
from ragstack.cli.options import examples, read_settings, setting_options
from ragstack.cli.quantities import size
from ragstack.cli.session import open_system


@click.command(
    epilog=examples(
        "ragstack backup /media/disk/notes-backup",
        "ragstack backup --store .ragstack ../backup-of-today",
    )
)
@click.argument("destination", metavar="DEST", type=click.Path(file_okay=False, path_type=Path))
@setting_options("store")
def backup(destination: Path) -> None:
    """Copy the store into the new directory DEST.

    The copy is consistent while others read and write the store, and is a store itself.
    """
    with open_system(read_settings()) as system:
        made = system.backup(destination)
        copied = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
        console.write(
            f"Backed up `{console.safe_line(str(system.path))}`"
            f" to `{console.safe_line(str(made))}` ({size(copied)})"
        )
    console.hint(f"to have it back, run {command('restore', made, '--store', 'DIR')}")
