"""Says in words where documents and spans of them are: root, path, page or lines, headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from ragstack.cli.console import safe_line
from ragstack.records import Citation, Hit, Location

if TYPE_CHECKING:
    from ragstack.store.catalog import DocumentInfo


_NUMBERED = re.compile(r"(.*?)(\d{1,9})")


def document_name(info: DocumentInfo) -> str:
    """The file of a document, or the name that a text was added under."""
    return f"{info.root.rstrip('/')}/{info.path}" if info.root else info.path


def root_name(root: str) -> str:
    """The root of a source; texts that were added by name have none."""
    return root or "(texts added by name)"


def place(path: str, location: Location, headings: Sequence[str]) -> str:
    """Where one span is: `manual.pdf, page 3 (Care > Cleaning)`; harmless to terminals."""
    return _joined(path, [_spot([location], headings)])


def source(citations: Sequence[Citation], hits: Sequence[Hit]) -> str:
    """Where all citations of one passage are: `notes.md, lines 3, 8-9 (Care); line 40 (Storage)`.

    A passage may run over several sections, so each citation is given the headings of the retrieved chunk
    that it lies in.
    """
    passage = citations[0].passage
    parted = groupby(sorted(citations, key=lambda each: each.start), lambda each: _headings(each, hits))
    spots = [_spot([each.location for each in group], headings) for headings, group in parted]
    line = _joined(passage.path, spots)
    if passage.also_in:
        line += f"; also in {', '.join(map(safe_line, passage.also_in))}"
    return line


def _joined(path: str, spots: Iterable[str]) -> str:
    """The path and its spots, each once; a comma only before pages and lines, not before a section."""
    where = "; ".join(dict.fromkeys(filter(None, spots)))
    comma = "," if where and not where.startswith("(") else ""
    return f"{safe_line(path)}{comma} {where}".rstrip()


def _headings(citation: Citation, hits: Sequence[Hit]) -> tuple[str, ...]:
    holding = [
        hit.chunk
        for hit in hits
        if hit.chunk.document_id == citation.passage.document_id
        and hit.chunk.start <= citation.start < hit.chunk.end
    ]
    if not holding:
        return citation.passage.headings
    return max(holding, key=lambda chunk: chunk.start).headings


def _spot(locations: Sequence[Location], headings: Sequence[str]) -> str:
    """`page 3, lines 4, 7-9 (Care > Cleaning)`, as far as it is known."""
    where = ", ".join([*dict.fromkeys(_landmarks(locations)), *_lines(locations)])
    if not headings:
        return where
    section = f"({safe_line(' > '.join(headings))})"
    return f"{where} {section}" if where else section


def _landmarks(locations: Iterable[Location]) -> Iterator[str]:
    """The pages, rows and the like of all locations, neighbours joined: `rows 2-4`, `page 7`."""
    joined: list[Location] = []
    for each in locations:
        if each.landmark_kind is None or each.first_landmark is None:
            continue
        last = joined[-1].last_landmark or joined[-1].first_landmark if joined else None
        if joined and joined[-1].landmark_kind == each.landmark_kind and _follows(last, each.first_landmark):
            joined[-1] = replace(joined[-1], last_landmark=each.last_landmark or each.first_landmark)
        else:
            joined.append(replace(each, first_line=None, last_line=None))
    return (safe_line(str(each)) for each in joined)


def _follows(last: str | None, first: str) -> bool:
    """Whether a landmark is the one before another, or the same: `Stock!3` and `Stock!4`."""
    before, after = _NUMBERED.fullmatch(last or ""), _NUMBERED.fullmatch(first)
    if before is None or after is None or before[1] != after[1]:
        return last == first
    return 0 <= int(after[2]) - int(before[2]) <= 1


def _lines(locations: Iterable[Location]) -> list[str]:
    """The lines of all locations, in one phrase: `lines 3, 8-10`; nothing when none is known."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted(
        (each.first_line, each.last_line or each.first_line)
        for each in locations
        if each.first_line is not None
    ):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
        else:
            ranges.append((first, last))
    if not ranges:
        return []
    words = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    single = len(words) == 1 and "-" not in words[0]
    return [f"{'line' if single else 'lines'} {', '.join(words)}"]
