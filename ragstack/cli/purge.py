"""`ragstack purge`: erases from the store's files what was removed from the store."""

from __future__ import annotations

import click

from ragstack.cli import console
from ragstack.cli.options import examples, read_settings, setting_options, yes_option
from ragstack.cli.quantities import size
from ragstack.cli.session import open_system


@click.command(
    epilog=examples(
        "ragstack purge",
        "ragstack purge --yes",
    )
)
@yes_option
@setting_options("store")
def purge(yes: bool) -> None:
    """Erase what was removed from every file of the store.

    Removed documents can no longer be found, but what they said may linger in the database, its log, index
    files and the backups that `repair` made. This rewrites the files and deletes those backups; it needs as
    much free space as the store takes. Backups made by `backup` are yours to delete.
    """
    from ragstack.inspection.overview import overview

    with open_system(read_settings()) as system:
        before = overview(system).disk
        console.confirm(f"Rewrite `{system.path}` and delete the backups in it for good?", yes=yes)
        system.purge()
        after = overview(system).disk
    console.write(f"Purged: {size(before.total)} before, {size(after.total)} now; what was removed is gone")
