"""`ragstack restore`: makes a store of a backup, where there is none."""

from __future__ import annotations

from pathlib import Path

import click

from ragstack.cli import console
from ragstack.cli.options import examples, read_settings, setting_options
from ragstack.cli.quantities import counted
from ragstack.cli.session import open_system


@click.command(
    epilog=examples(
        "ragstack restore /media/disk/notes-backup",
        "ragstack restore ../backup-of-today --store .ragstack",
    )
)
@click.argument("backup", metavar="BACKUP", type=click.Path(exists=True, file_okay=False, path_type=Path))
@setting_options("store")
def restore(backup: Path) -> None:
    """Make a store of BACKUP, a directory that `ragstack backup` or a repair made.

    Never overwrites a store. Index files that the backup lacks are made anew.
    """
    from ragstack.inspection.overview import overview
    from ragstack.system import RAGSystem

    settings = read_settings()
    RAGSystem.restore(backup, settings.store.value).close()
    with open_system(settings) as system:
        found = overview(system)
    console.write(
        f"Restored {counted(found.documents, 'document')}, {counted(found.chunks, 'chunk')}"
        f" into `{console.safe_line(str(found.path))}`"
    )
    console.hint("run `ragstack verify --deep` to check every byte of it")
