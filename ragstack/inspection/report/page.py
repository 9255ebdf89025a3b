"""Gathers what a store holds and renders it as one HTML file.

The page carries its style, script and pictures; a content security policy with their hashes forbids
everything else, network requests included. Document texts travel as JSON that the script only ever writes as
text. What the page says is computed here; how it behaves is in `page.js`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragstack import __version__
from ragstack.errors import UsageError
from ragstack.inspection.figures.sheet import LIST
from ragstack.inspection.overview import Overview, document, documents, overview

if TYPE_CHECKING:
    from ragstack.store.catalog import DocumentInfo
    from ragstack.system import RAGSystem

MAX_CHARACTERS = 8_000_000
"""Text that a page carries; a browser still searches and draws this without a pause. Later documents are
listed without theirs, and the page says so."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the page: its title, what it says, and a PNG file."""

    title: str
    notes: tuple[str, ...]
    image: Path


def write_report(
    system: RAGSystem,
    destination: Path,
    *,
    pictures: Sequence[Picture] = (),
    max_characters: int = MAX_CHARACTERS,
) -> int:
    """Write the page about `system` to `destination`; returns how many documents came without their text."""
    page, without_text = _page(system, pictures, max_characters)
    destination.write_text(page, encoding="utf-8")
    return without_text


def pictures_in(directory: Path) -> tuple[Picture, ...]:
    """The pictures that `ragstack figures` drew into `directory`; UsageError if it drew none there."""
    try:
        listed = json.loads((directory / LIST).read_text(encoding="utf-8"))["figures"]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"`{directory}` holds no figures", hint=f"run `ragstack figures {directory}` first"
        ) from error
    return tuple(
        Picture(each["title"], tuple(each["notes"]), directory / f"{each['name']}.png") for each in listed
    )


def _page(system: RAGSystem, pictures: Sequence[Picture], max_characters: int) -> tuple[str, int]:
    from jinja2 import Environment, StrictUndefined

    found = overview(system)
    checked = system.verify()
    entries = list(_entries(system, documents(system), max_characters))
    without_text = sum(entry["text"] is None for entry in entries)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = _part("page.css"), _part("page.js")
    page = environment.from_string(_part("page.html")).render(
        version=__version__,
        policy=_policy(style, script),
        style=_verbatim(style),
        script=_verbatim(script),
        data=_verbatim(_json_block(entries)),
        facts=_facts(found),
        failures=found.failures,
        problems=checked.problems,
        pictures=[(each.title, each.notes, _data_uri(each.image)) for each in pictures],
        without_text=without_text,
    )
    return page, without_text


def _entries(
    system: RAGSystem, listed: Sequence[DocumentInfo], max_characters: int
) -> Iterator[dict[str, Any]]:
    """The documents as the script reads them; chunks are (id, start, end, tokens, section)."""
    left = max_characters
    for info in listed:
        left -= info.characters
        view = document(system, info.document_id) if left >= 0 else None
        yield {
            "id": info.document_id,
            "path": info.path,
            "root": info.root,
            "title": info.title or "",
            "type": info.media_type,
            "characters": info.characters,
            "tokens": info.tokens,
            "count": info.chunks,
            "stale": info.stale_reason or "",
            "metadata": dict(view.metadata) if view else {},
            "text": view.text if view else None,
            "chunks": [
                [each.chunk_id, each.start, each.end, each.tokens, " > ".join(each.headings)]
                for each in (view.chunks if view else ())
            ],
        }


def _facts(found: Overview) -> list[tuple[str, str]]:
    embedder, chunker = found.embedder, found.chunker
    index = f"{found.indexed:,} vectors in segments ({len(found.segments):,}), {found.tail:,} not yet in one"
    facts = [
        ("Documents", f"{found.documents:,}"),
        ("Chunks", f"{found.chunks:,} of {found.tokens:,} tokens"),
        ("Text", f"{found.characters:,} characters"),
        ("Types", ", ".join(f"{count:,} {kind}" for kind, count in found.media_types.items()) or "none"),
        ("Embedder", f"{embedder.name}, {embedder.dimension} dimensions" if embedder else "none yet"),
        ("Windows", f"{chunker.size} tokens, {chunker.overlap} shared" if chunker else "none yet"),
        ("Index", index),
        ("On disk", f"{found.disk.total / 2**20:,.1f} MiB, of which index {found.disk.index / 2**20:,.1f}"),
    ]
    if found.last_run is not None:
        changes = ", ".join(f"{count:,} {what}" for what, count in found.last_run.summary.items() if count)
        facts.append(("Last change", f"{found.last_run.finished_at}: {changes}"))
    return facts


def _policy(style: str, script: str) -> str:
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'"
    )


def _source_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json_block(entries: Sequence[Mapping[str, Any]]) -> str:
    """JSON that cannot end the element it stands in, whatever the documents say."""
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _data_uri(image: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(image.read_bytes()).decode()}"


def _verbatim(text: str) -> Any:
    """Text that is put into the page as it is: the page's own style and script, and escaped JSON."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - nothing of a document gets here but through `_json_block`


@cache
def _part(name: str) -> str:
    return files("ragstack.inspection.report").joinpath(name).read_text(encoding="utf-8")
