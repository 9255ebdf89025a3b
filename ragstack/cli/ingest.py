"""`ragstack ingest`: reads folders and files into the store, and says what became of each."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragstack.cli import console, tables
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.progress import ingest_progress
from ragstack.cli.session import open_system
from ragstack.config import Settings
from ragstack.errors import LoadingError, RagstackError, UsageError
from ragstack.loading.ignore import SECRETS
from ragstack.loading.limits import Limits, limits_of
from ragstack.loading.selection import Selection
from ragstack.records import FileState, IngestReport

if TYPE_CHECKING:
    from ragstack.ingestion.observer import IngestObserver
    from ragstack.system import RAGSystem


_SIZES = ("max_file_mib", "max_pages", "max_expansion", "max_chunks", "read_seconds", "read_memory_mib")
_STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be done with which files."""

    paths: Sequence[Path]
    prune: bool | None
    checksum: bool
    dry_run: bool
    selection: Selection
    limits: Limits


@click.command(
    epilog=examples(
        "ragstack ingest ~/notes",
        "ragstack ingest --store .ragstack docs README.md",
        "ragstack ingest ~/papers --include '*.pdf' --exclude 'drafts/'",
        "ragstack ingest --dry-run -v ~/notes",
        "ragstack ingest --watch ~/notes",
        "curl https://example.org/manual.pdf | ragstack ingest - --name manual.pdf",
        "ragstack ingest ~/papers --chunk-size 200 --overlap 100",
    )
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Read only files like this, as in `.gitignore`; repeatable.",
)
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave files and folders like this alone.")
@click.option("--no-hardlinks", is_flag=True, help="Refuse files that have other names (hard links).")
@click.option(
    "--name", metavar="NAME", help="With PATH `-`: the name of what is read from stdin, as in `a.pdf`."
)
@click.option("--watch", is_flag=True, help="Go on and keep the store in step, until interrupted.")
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
@setting_options(*_SIZES)
@json_option
@setting_options("offline", "store")
@click.pass_context
def ingest(
    ctx: click.Context,
    paths: Sequence[Path],
    include: Sequence[str],
    exclude: Sequence[str],
    no_hardlinks: bool,
    name: str | None,
    watch: bool,
    prune: bool | None,
    checksum: bool,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Read the files in PATH... into the store; `-` reads one document from stdin.

    Unchanged files are skipped, changed ones replaced, and those that are gone removed. PATH may be a glob.
    `.gitignore` and `.ragstackignore` are obeyed; a file that is named is always read. What is committed
    stays when you interrupt: the same command goes on where it stopped. Exits with 1 when a file could not
    be read.

    Hidden files (`.env`, `.git`, `.ssh`) and what may hold secrets are left out of folders:
    {secrets}.
    Name such a file, or take it back in `.ragstackignore` (`!credentials.md`, `!.github/`), to have it read.
    """
    settings = read_settings()
    _check_usage(paths, name=name, watch=watch, dry_run=dry_run)
    selection = Selection(include, exclude, hard_links=not no_hardlinks)
    wish = _Wish(_expanded(paths), prune, checksum, dry_run, selection, limits_of(settings))
    if watch:
        _watch(settings, wish, quiet=quiet, verbose=verbose)
        return
    report = _from_stdin(settings, wish, name, quiet) if _STDIN in paths else _run(settings, wish, quiet)
    _show(report, quiet=quiet, verbose=verbose)
    if report.interrupted:
        console.note(f"Interrupted: what was committed stays in `{settings.store.value}`")
        console.hint("run the same command again to go on")
    if report.failed or report.interrupted:
        ctx.exit(1)


ingest.help = (ingest.help or "").format(secrets=", ".join(SECRETS))


def _check_usage(paths: Sequence[Path], *, name: str | None, watch: bool, dry_run: bool) -> None:
    """UsageError for options that do not go together."""
    if _STDIN in paths and len(paths) > 1:
        raise UsageError("`-` reads stdin, and cannot be named together with other paths")
    if _STDIN in paths and (watch or dry_run):
        raise UsageError("`-` reads stdin, which can be neither watched nor tried")
    if name is not None and _STDIN not in paths:
        raise UsageError(
            "`--name` is for what comes from stdin", hint="run `... | ragstack ingest - --name NAME`"
        )
    if watch and (dry_run or wants_json()):
        raise UsageError("`--watch` has no end, so it goes with neither `--dry-run` nor `--json`")


def _expanded(paths: Sequence[Path]) -> list[Path]:
    """The paths, and for each that is a glob and no file what it stands for."""
    expanded: list[Path] = []
    for path in paths:
        if has_magic(str(path)) and not path.exists():
            found = sorted(glob(str(path.expanduser()), recursive=True))  # noqa: PTH207 - Path globs are relative
            if not found:
                raise UsageError(f"nothing is like `{path}`", hint="check the glob, and quote it")
            expanded.extend(map(Path, found))
        else:
            expanded.append(path)
    return expanded


def _run(settings: Settings, wish: _Wish, quiet: bool) -> IngestReport:
    with (
        ingest_progress(quiet=quiet) as observer,
        open_system(settings, create=True, announce=observer.announce) as system,
    ):
        return _round(system, wish, observer)


def _round(system: RAGSystem, wish: _Wish, observer: IngestObserver) -> IngestReport:
    from ragstack.ingestion.observer import IngestInterrupted

    try:
        return system.ingest(
            wish.paths,
            prune=wish.prune,
            checksum=wish.checksum,
            dry_run=wish.dry_run,
            observer=observer,
            limits=wish.limits,
            selection=wish.selection,
        )
    except IngestInterrupted as interrupted:
        return interrupted.report


def _from_stdin(settings: Settings, wish: _Wish, name: str | None, quiet: bool) -> IngestReport:
    data = sys.stdin.buffer.read(wish.limits.file_bytes + 1)
    if len(data) > wish.limits.file_bytes:
        limit = f"{wish.limits.file_bytes / 2**20:,.0f} MiB"
        raise LoadingError(f"stdin is larger than the limit of {limit}", hint="raise `--max-file-mib`")
    started = time.monotonic()
    with (
        ingest_progress(quiet=quiet) as observer,
        open_system(settings, create=True, announce=observer.announce) as system,
    ):
        outcome = system.ingest_bytes(data, name=name, limits=wish.limits, observer=observer)
    is_unchanged = outcome.state is FileState.UNCHANGED
    return IngestReport(
        outcomes=() if is_unchanged else (outcome,),
        unchanged=int(is_unchanged),
        skipped=(),
        chunks=outcome.chunks,
        embedded=outcome.embedded,
        reused=outcome.chunks - outcome.embedded,
        seconds=time.monotonic() - started,
    )


def _watch(settings: Settings, wish: _Wish, *, quiet: bool, verbose: bool) -> None:
    """Ingest, and again whenever something changes, until Ctrl-C; an error ends a round and not the watch."""
    from ragstack.ingestion.watch import changes

    with (
        ingest_progress(quiet=quiet) as observer,
        open_system(settings, create=True, announce=observer.announce) as system,
    ):
        for _ in changes(wish.paths, excluded=settings.store.value):
            try:
                report = _round(system, wish, observer)
            except RagstackError as error:
                console.show_error(error.message, error.hint)
                continue
            if report.interrupted:
                break
            if report.outcomes:
                _show(report, quiet=quiet, verbose=verbose)
    console.note(f"Stopped watching: what was committed stays in `{settings.store.value}`")


def _show(report: IngestReport, *, quiet: bool, verbose: bool) -> None:
    if wants_json():
        console.write_json(report)
    elif not quiet:
        console.write("\n".join(summary(report, verbose=verbose)))
    _complain(report, verbose=verbose)


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
