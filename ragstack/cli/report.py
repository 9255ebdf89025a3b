"""`ragstack report`: one self-contained HTML page about the store."""

from __future__ import annotations

from pathlib import Path

import click

from ragstack.cli import console
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.quantities import counted, size
from ragstack.cli.session import open_system
from ragstack.errors import UsageError


@click.command(
    epilog=examples(
        "ragstack report store.html",
        "ragstack report store.html --figures pictures",
    )
)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option(
    "--figures",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Show the figures that `ragstack figures DIR` drew.",
)
@json_option
@setting_options("store")
def report(out: Path, figures: Path | None) -> None:
    """Write one HTML page about the store to FILE.

    It holds the documents with their text and windows, searchable, and needs no network. Whoever gets the
    page gets the text of the documents.
    """
    from ragstack.inspection.report.page import pictures_in, write_report

    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"`{out}` is no HTML file", hint="end it with `.html`")
    if not out.resolve().parent.is_dir():
        raise UsageError(f"there is no folder `{out.resolve().parent}`", hint="make it first")
    pictures = pictures_in(figures) if figures else ()
    with open_system(read_settings()) as system:
        without_text = write_report(system, out, pictures=pictures)
    if without_text:
        console.note(f"the text of {counted(without_text, 'document')} was left out, to keep the page usable")
    written = out.stat().st_size
    if wants_json():
        console.write_json({"file": out, "bytes": written, "documents_without_text": without_text})
    else:
        console.write(f"{console.safe_line(str(out))} ({size(written)})")
