"""`ragstack ingest`: reads folders and files into the store, and says what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragstack.cli import console, tables
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.progress import ingest_progress
from ragstack.cli.session import open_system
from ragstack.config import Settings
from ragstack.records import FileState, IngestReport

if TYPE_CHECKING:
    from ragstack.system import RAGSystem


@click.command(
    epilog=examples(
        "ragstack ingest ~/notes",
        "ragstack ingest --store .ragstack docs README.md",
        "ragstack ingest --dry-run -v ~/notes",
        "ragstack ingest --checksum ~/notes",
        "ragstack ingest ~/papers --chunk-size 200 --overlap 100",
    )
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@setting_options("model", "chunk_size", "overlap")
@click.option(
    "--prune/--no-prune",
    default=None,
    help="Remove from the store what is gone from PATH, even if that is most of it or PATH itself; or remove"
    " nothing. By default, what is gone is removed unless that looks like a mistake.",
)
@click.option(
    "--checksum", is_flag=True, help="Read and hash every file, also where size and times are the same."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Name every file that was touched, kept or skipped, and why."
)
@json_option
@setting_options("offline", "store")
@click.pass_context
def ingest(
    ctx: click.Context,
    paths: Sequence[Path],
    prune: bool | None,
    checksum: bool,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Read the files in PATH... into the store.

    Unchanged files are skipped, changed ones replaced, and those that are gone removed. `.gitignore` and
    `.ragstackignore` are obeyed; a file that is named is always read. What is committed stays when you
    interrupt: the same command goes on where it stopped. Exits with 1 when a file could not be read.
    """
    settings = read_settings()
    report = _run(settings, paths, prune=prune, checksum=checksum, dry_run=dry_run, quiet=quiet)
    if wants_json():
        console.write_json(report)
    elif not quiet:
        console.write("\n".join(summary(report, verbose=verbose)))
    _complain(report, verbose=verbose)
    if report.interrupted:
        console.note(f"Interrupted: what was committed stays in `{settings.store.value}`")
        console.hint("run the same command again to go on")
    if report.failed or report.interrupted:
        ctx.exit(1)


def _run(
    settings: Settings,
    paths: Sequence[Path],
    *,
    prune: bool | None,
    checksum: bool,
    dry_run: bool,
    quiet: bool,
) -> IngestReport:
    from ragstack.ingestion.observer import IngestInterrupted

    with ingest_progress(quiet=quiet) as observer, _system(settings, dry_run, observer.announce) as system:
        try:
            return system.ingest(paths, prune=prune, checksum=checksum, dry_run=dry_run, observer=observer)
        except IngestInterrupted as interrupted:
            return interrupted.report


def _system(settings: Settings, dry_run: bool, announce: Callable[[str], None]) -> RAGSystem:
    """A dry run creates nothing: without a store, what it would do is told by an empty, temporary one."""
    from ragstack.system import RAGSystem

    if dry_run and not settings.store_exists:
        return RAGSystem()
    return open_system(settings, create=not dry_run, announce=announce)


def summary(report: IngestReport, *, verbose: bool) -> list[str]:
    """What the ingest did, or would do: the counts, the embedding, and with `verbose` every file."""
    counts = [f"{report.count(state):,} {state.value}" for state in FileState if report.count(state)]
    if report.skipped:
        counts.append(f"{len(report.skipped):,} skipped")
    if report.kept:
        counts.append(f"{len(report.kept):,} kept though gone")
    lines = [
        ("Dry run, nothing was changed: " if report.dry_run else "Ingested: ")
        + (", ".join(counts) or "no files")
    ]
    if not report.dry_run:
        lines.append(_embedding(report))
    if verbose or report.dry_run:
        lines += tables.columns([(each.state.value, each.path, each.reason) for each in report.outcomes])
    return lines


def _embedding(report: IngestReport) -> str:
    seconds = f"({report.seconds:.1f} s)"
    if report.embedded:
        reused = f", reused {report.reused:,}" if report.reused else ""
        return f"Embedded {report.embedded:,} chunks{reused} {seconds}"
    if (report.unchanged or report.reused) and not report.interrupted:
        return f"Embedded nothing: every chunk was in the store already {seconds}"
    return f"Embedded nothing {seconds}"


def _complain(report: IngestReport, *, verbose: bool) -> None:
    """Say on stderr which files need attention, and with `verbose` which were left alone and why."""
    for outcome in report.failed:
        console.warn(f"could not ingest `{outcome.path}`: {outcome.reason}")
    if verbose:
        for verb, files in (("kept", report.kept), ("skipped", report.skipped)):
            for path, reason in files:
                console.note(f"{verb} `{path}`: {reason}")
