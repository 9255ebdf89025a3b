"""`ragstack reembed`: makes the index anew from the stored texts, with another model or other chunks."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from ragstack.cli import console
from ragstack.cli.options import examples, read_settings, setting_options
from ragstack.cli.progress import ingest_progress
from ragstack.cli.quantities import counted
from ragstack.cli.session import open_system

if TYPE_CHECKING:
    from ragstack.store.generations import IndexGeneration


@click.command(
    epilog=examples(
        "ragstack reembed --model BAAI/bge-small-en-v1.5",
        "ragstack reembed --chunk-size 200 --overlap 50",
        "ragstack reembed",
    )
)
@click.option("--model", metavar="NAME", help="Embedding model, by name or directory.")
@click.option("--chunk-size", type=click.IntRange(min=1), metavar="N", help="Tokens of a chunk.")
@click.option(
    "--overlap", type=click.IntRange(min=0), metavar="N", help="Tokens that neighbouring chunks share."
)
@setting_options("offline", "store")
@click.pass_context
def reembed(ctx: click.Context, model: str | None, chunk_size: int | None, overlap: int | None) -> None:
    """Make the index anew with another embedding model or other chunks.

    What is not given stays as it is. Works from the stored texts and reads no file. The old index answers
    until the new one is complete; an interrupted run is continued by the same command. Without options it
    only does something when the files of the model have changed.
    """
    started = time.monotonic()
    with (
        ingest_progress(quiet=False, doing="Re-embedding") as observer,
        open_system(read_settings(), announce=observer.announce) as system,
    ):
        before = system.generation
        documents: int | None = None
        with suppress(KeyboardInterrupt):  # which is told when the bar is gone
            documents = system.reembed(model=model, chunk_size=chunk_size, overlap=overlap, observer=observer)
        after = system.generation
    if documents is None:
        console.note("Interrupted: the old index stays in use, and what was embedded so far is kept")
        console.hint("run the same command again to go on")
        ctx.exit(1)
    assert before is not None
    assert after is not None
    if before.id == after.id:
        console.write(f"Nothing to do: the index is that of {_described(after)}")
    else:
        seconds = time.monotonic() - started
        console.write(f"Embedded {counted(documents, 'document')} anew ({seconds:.1f} s)")
        console.write(f"The index is that of {_described(after)}")


def _described(generation: IndexGeneration) -> str:
    embedder, chunker = generation.fingerprint, generation.settings
    return (
        f"`{console.safe_line(embedder.name)}`, chunks of {counted(chunker.size, 'token')},"
        f" {chunker.overlap:,} shared by neighbours"
    )
