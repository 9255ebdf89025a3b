"""`ragstack inspect citation`: the text that a citation rests on, and what became of its document."""

from __future__ import annotations

import click

from ragstack.cli import console, tables
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.places import place
from ragstack.cli.session import open_system


@click.command(
    epilog=examples(
        "ragstack inspect citation 12@3fa9c1d2e0b4:1034-1150",
        "ragstack inspect citation 12@3fa9c1d2e0b4:1034-1150 --json",
    )
)
@click.argument("identity", metavar="ID")
@json_option
@setting_options("store")
def citation(identity: str) -> None:
    """Show what a citation of an answer rests on.

    ID stands at the end of a line of `Sources:`. If the document has changed since, the text is shown as it
    was when it was cited, as far as the history has it. Exits with 1 when the text is nowhere any more.
    """
    from ragstack.inspection.citations import citation as opened

    with open_system(read_settings()) as system:
        found = opened(system, identity)
    if wants_json():
        console.write_json(found)
    else:
        rows = [
            ("citation", found.identity),
            (
                "document",
                f"{found.document_id}, {place(found.path, found.location, ()) if found.path else 'gone'}",
            ),
            ("state", found.state.value),
        ]
        lines = tables.columns(rows, indent="")
        console.write(
            "\n".join([*lines, *(["", console.safe_text(found.text)] if found.text is not None else [])])
        )
    if found.text is None:
        console.note("The cited text is in neither the store nor the history")
        click.get_current_context().exit(1)
