"""`ragstack remove`: takes documents out of the store; their files stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ragstack.cli import console
from ragstack.cli.options import examples, read_settings, setting_options, yes_option
from ragstack.cli.places import document_name
from ragstack.cli.session import open_system


@click.command(
    epilog=examples(
        "ragstack remove ~/notes/old.md",
        "ragstack remove 3 4 5 --yes",
    )
)
@click.argument("documents", nargs=-1, required=True, metavar="PATH|ID...")
@yes_option
@setting_options("store")
def remove(documents: Sequence[str], yes: bool) -> None:
    """Remove documents from the store: PATH is a file or the name of a text, ID its number.

    All of them or, when one is not in the store, none. Files stay where they are. A file that is still in an
    ingested folder comes back with the next ingest, unless `.ragstackignore` names it.
    """
    with open_system(read_settings()) as system:
        with system.store.read() as snapshot:
            ids = dict.fromkeys(snapshot.find_document(each) for each in documents)
            found = [snapshot.document_info(document_id) for document_id in ids]
        names = [f"document {each.document_id} (`{document_name(each)}`)" for each in found]
        console.confirm(f"Remove {', '.join(names)} from `{system.path}`?", yes=yes)
        for document_id, name in zip(ids, names, strict=True):
            system.remove_document(document_id)
            console.write(console.safe_line(f"Removed {name}"))
    if any(Path(document_name(each)).exists() for each in found if each.root):
        console.hint("to keep a file that still exists from coming back, name it in `.ragstackignore`")
    console.hint("run `ragstack purge` to erase what was removed from the store's files too")
