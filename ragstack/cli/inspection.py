"""`ragstack inspect`: what the store holds, as a whole and piece by piece. Loads no embedding model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ragstack.cli import console, tables
from ragstack.cli.citations import citation
from ragstack.cli.filters import filter_option
from ragstack.cli.jsonable import jsonable
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.path import show_settings
from ragstack.cli.places import document_name, place, root_name
from ragstack.cli.quantities import counted, size
from ragstack.cli.session import open_system
from ragstack.cli.trace import query
from ragstack.records import Filter

if TYPE_CHECKING:
    from ragstack.inspection.neighbours import Neighbourhood
    from ragstack.inspection.overview import ChunkView, DocumentView, Overview
    from ragstack.store.catalog import DocumentInfo, SegmentInfo, SourceInfo

_PREVIEW_CHARACTERS = 60

# By what `inspect documents` sorts; every order ends with root and path, so that it is one.
_ORDERS: Mapping[str, Callable[[DocumentInfo], tuple[Any, ...]]] = {
    "path": lambda info: (info.root, info.path),
    "title": lambda info: (info.title or "", info.root, info.path),
    "type": lambda info: (info.media_type, info.root, info.path),
    "size": lambda info: (-info.characters, info.root, info.path),
    "chunks": lambda info: (-info.chunks, info.root, info.path),
    "changed": lambda info: (-info.mtime_ns, info.root, info.path),
}

_CHUNK_ID = click.argument("chunk_id", type=click.IntRange(min=1), metavar="ID")


@click.group(
    invoke_without_command=True,
    epilog=examples(
        "ragstack inspect",
        "ragstack inspect documents",
        "ragstack inspect document 3",
        "ragstack inspect chunk 41 --json",
        'ragstack inspect query "How long is the notice period?"',
    ),
)
@json_option
@setting_options("store")
@click.pass_context
def inspect(ctx: click.Context) -> None:
    """Show what the store holds, as a whole or in detail."""
    if ctx.invoked_subcommand is not None:
        return
    from ragstack.inspection.overview import documents as every_document
    from ragstack.inspection.overview import overview

    with open_system(read_settings()) as system:
        found = overview(system)
        stale = [each for each in every_document(system) if each.stale_reason] if found.stale else []
    if wants_json():
        console.write_json(found)
    else:
        console.write("\n".join(_overview(found, stale)))


@inspect.command(
    epilog=examples(
        "ragstack inspect documents",
        "ragstack inspect documents --sort chunks",
        'ragstack inspect documents --filter "notes/**" --json',
    )
)
@click.option(
    "--sort", type=click.Choice(list(_ORDERS)), default="path", show_default=True, help="In which order."
)
@filter_option
@json_option
@setting_options("store")
def documents(sort: str, where: Filter) -> None:
    """List the documents: all of them, or those that pass the filters.

    Numbers are sorted with the largest first, times with the latest first.
    """
    from ragstack.inspection.overview import documents as every_document

    with open_system(read_settings()) as system:
        found = sorted(every_document(system, where), key=_ORDERS[sort])
    if wants_json():
        console.write_json({"documents": found})
    elif found:
        console.write("\n".join(_listing(found)))
    else:
        console.note("The store holds no documents" if where.is_empty else "No document passes the filters")


@inspect.command(
    epilog=examples(
        "ragstack inspect document 3",
        "ragstack inspect document notes/contract.md",
        "ragstack inspect document 3 --text",
        "ragstack inspect document 3 --json",
    )
)
@click.argument("name", metavar="ID|PATH")
@click.option("--text", "as_text", is_flag=True, help="Print the text that was read, and nothing else.")
@json_option
@setting_options("store")
def document(name: str, as_text: bool) -> None:
    """Show one document: origin, metadata, chunks.

    It is named by its id, its file, its path within its source, or the name it was added under.
    """
    from ragstack.inspection.overview import document as one_document

    with open_system(read_settings()) as system:
        found = one_document(system, name)
    if wants_json():
        console.write_json(found)
    elif as_text:
        console.write(console.safe_text(found.text))
    else:
        console.write("\n".join(_document(found)))


@inspect.command(
    epilog=examples(
        "ragstack inspect chunk 41",
        "ragstack inspect chunk 41 --json",
    )
)
@_CHUNK_ID
@json_option
@setting_options("store")
def chunk(chunk_id: int) -> None:
    """Show one chunk: text, place, neighbours."""
    from ragstack.inspection.neighbours import neighbourhood
    from ragstack.inspection.overview import chunk as one_chunk

    with open_system(read_settings()) as system:
        found = one_chunk(system, chunk_id)
        near = neighbourhood(system, chunk_id)
    if wants_json():
        console.write_json(jsonable(found) | jsonable(near))
    else:
        console.write("\n".join([*_chunk(found), *_near(near)]))


inspect.add_command(query)


@inspect.command(
    epilog=examples(
        "ragstack inspect settings",
        "RAGSTACK_WINDOW=8192 ragstack inspect settings --json",
    )
)
@json_option
@setting_options("store")
def settings() -> None:
    """Show every setting in use, and why it has its value; the same as `ragstack path`."""
    show_settings(read_settings())


inspect.add_command(citation)


def _overview(found: Overview, stale: Sequence[DocumentInfo]) -> list[str]:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.media_types.items())
    rows = [
        ("store", str(found.path)),
        ("documents", f"{found.documents:,}" + (f" ({kinds})" if kinds else "")),
        ("chunks", f"{found.chunks:,} of {found.tokens:,} tokens, from {found.characters:,} characters"),
        *_duplicate_rows(found),
        *_index_rows(found),
        ("on disk", _disk(found)),
        *_run_rows(found),
        *(("source", _source(each)) for each in found.sources),
    ]
    lines = tables.columns(rows, indent="")
    if found.failures:
        lines += ["", console.heading("Not readable")]
        lines += tables.columns([(f"{each.root}/{each.path}", each.reason) for each in found.failures])
    if stale:
        lines += ["", console.heading("Stale: answered from as last read, until an ingest reads them again")]
        lines += tables.columns([(document_name(each), each.stale_reason or "") for each in stale])
    return lines


def _duplicate_rows(found: Overview) -> list[tuple[str, str]]:
    twice = found.characters - found.distinct_characters
    if not twice and not found.repeated_chunks:
        return []
    chunks = counted(found.repeated_chunks, "chunk")
    whole = f", {twice:,} characters in documents that are there twice" if twice else ""
    return [("duplicates", f"{chunks} with the same text as an earlier one{whole}")]


def _index_rows(found: Overview) -> list[tuple[str, str]]:
    if found.embedder is None or found.chunker is None:
        return [("index", "none yet")]
    embedder, chunker = found.embedder, found.chunker
    return [
        (
            "embedder",
            f"{embedder.name}, {embedder.dimension} dimensions, reads {embedder.max_tokens:,} tokens",
        ),
        ("fingerprint", embedder.key[:16]),
        ("chunker", f"{chunker.size:,} tokens, {chunker.overlap:,} shared by neighbours"),
        (
            "index",
            (
                f"{counted(found.indexed, 'vector')} in {counted(len(found.segments), 'segment')},"
                f" {found.tail:,} in the tail{_since(found)}"
            ),
        ),
        *(("approximate", _approximate(each)) for each in found.segments if each.details),
    ]


def _since(found: Overview) -> str:
    """When the newest segment was published."""
    latest = max((segment.created_at for segment in found.segments), default="")
    return f"; published {latest}" if latest else ""


def _approximate(segment: SegmentInfo) -> str:
    """How a segment that is not exact is searched, and how well that was found to work."""
    details = segment.details
    return (
        f"{segment.vectors:,} vectors in {details.get('lists', 0):,} lists ({segment.kind}),"
        f" {details.get('probes', 0):,} searched: recall@10 {100 * details.get('recall_at_10', 0):.1f} %"
        f" of exact search ({details.get('queries', 0):,} queries)"
    )


def _source(source: SourceInfo) -> str:
    counts = f"{source.documents:,} documents, {source.stale:,} stale, {source.failures:,} failed"
    return f"{root_name(source.root)} ({source.kind}): {counts}"


def _disk(found: Overview) -> str:
    disk = found.disk
    log = f", write-ahead log {size(disk.write_ahead_log)}" if disk.write_ahead_log else ""
    return f"{size(disk.total)} (database {size(disk.database)}{log}, index {size(disk.index)})"


def _run_rows(found: Overview) -> list[tuple[str, str]]:
    if found.last_run is None:
        return []
    counts = ", ".join(f"{count:,} {what}" for what, count in found.last_run.summary.items() if count)
    return [("last change", f"{found.last_run.finished_at}: {counts}")]


def _listing(found: Sequence[DocumentInfo]) -> list[str]:
    header = ("id", "chunks", "characters", "type", "path")
    rows = [
        (str(each.document_id), f"{each.chunks:,}", f"{each.characters:,}", each.media_type, _path(each))
        for each in found
    ]
    return tables.columns([header, *rows], right=(0, 1, 2), indent="")


def _path(info: DocumentInfo) -> str:
    """Root and path; a stale document says that it is one."""
    return document_name(info) + (" (stale)" if info.stale_reason else "")


def _document(found: DocumentView) -> list[str]:
    info = found.info
    rows = [
        ("document", str(info.document_id)),
        ("path", _path(info)),
        ("title", info.title or "-"),
        ("type", f"{info.media_type}, read by {info.reader} {info.reader_version}"),
        ("size", f"{info.size:,} bytes, {info.characters:,} characters, {info.lines:,} lines"),
        ("content", f"sha256 {info.content_hash}"),
        ("ingested", info.ingested_at),
        *([("stale", info.stale_reason)] if info.stale_reason else []),
        *sorted(found.metadata.items()),
    ]
    chunks = [
        (str(each.chunk_id), f"{each.start}-{each.end}", f"{each.tokens}", _preview(each.text))
        for each in found.chunks
    ]
    header = ("chunk", "characters", "tokens", "begins")
    return [
        *tables.columns(rows, indent=""),
        "",
        *tables.columns([header, *chunks], right=(0, 1, 2), indent=""),
    ]


def _preview(text: str) -> str:
    words = " ".join(text[: 4 * _PREVIEW_CHARACTERS].split())
    return words if len(words) <= _PREVIEW_CHARACTERS else words[: _PREVIEW_CHARACTERS - 3] + "..."


def _chunk(found: ChunkView) -> list[str]:
    chunk = found.chunk
    neighbours = [str(each) if each is not None else "-" for each in (found.previous, found.following)]
    rows = [
        ("chunk", f"{chunk.chunk_id}, number {chunk.position + 1} of document {chunk.document_id}"),
        ("place", place(chunk.path, found.location, chunk.headings)),
        ("span", f"characters {chunk.start}-{chunk.end}, {chunk.tokens} tokens"),
        ("neighbours", f"before: {neighbours[0]}, after: {neighbours[1]}"),
    ]
    return [*tables.columns(rows, indent=""), "", console.safe_text(chunk.text)]


def _near(near: Neighbourhood) -> list[str]:
    lines = []
    for title, neighbours in (("Nearest in meaning", near.nearest), ("The same text", near.duplicates)):
        if neighbours:
            rows = [
                (str(each.chunk.chunk_id), f"{each.cosine:.3f}", each.chunk.path, _preview(each.chunk.text))
                for each in neighbours
            ]
            lines += ["", console.heading(title)]
            lines += tables.columns([("chunk", "cosine", "path", "begins"), *rows], right=(0, 1), indent="")
    return lines
