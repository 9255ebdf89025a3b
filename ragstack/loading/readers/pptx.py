"""Reads presentations (PPTX) with python-pptx: titles, text, tables, charts and notes, slide by slide."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from ragstack.errors import MissingExtraError
from ragstack.loading.encoding import clean
from ragstack.loading.limits import Limits, too_many
from ragstack.loading.readers.archive import open_archive
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Block, Composition
from ragstack.loading.readers.office import properties, require_part
from ragstack.loading.readers.xml_tree import one_line, without_title
from ragstack.records import Document, ElementKind

_EXPECTED = "a PPTX presentation"
_TITLE_LEVEL = 2
_MAX_CHART_POINTS = 200
_SHORTEST_DESCRIPTION = 8
"""Shorter alternative texts are names like `Bild 3`."""


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of a PPTX file."""
    try:
        from pptx import Presentation
    except ImportError as error:
        raise MissingExtraError("reading PPTX files", extra="pptx") from error

    with open_archive(data, limits, _EXPECTED) as archive:
        require_part(archive, "ppt/", _EXPECTED)
        metadata = properties(archive)
    slides = Presentation(io.BytesIO(data)).slides
    if len(slides) > limits.pages:
        raise too_many(len(slides), "slides", limits)
    composition = Composition()
    for number, slide in enumerate(slides, start=1):
        composition.mark("slide", str(number))
        composition.add_blocks(_slide_blocks(slide))
    first_title = next((each.title for each in composition.elements if each.level), None)
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=metadata.get("title") or first_title,
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
        metadata=without_title(metadata) | {"slides": str(len(slides))},
    )


def _slide_blocks(slide: Any) -> Iterator[Block]:
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        yield Block(ElementKind.HEADING, one_line(title.text_frame.text), _TITLE_LEVEL)
    for shape in _flat(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            yield from _shape_blocks(shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = clean(slide.notes_slide.notes_text_frame.text).strip()
        if notes:
            yield Block(ElementKind.PARAGRAPH, f"Notes: {notes}")


def _flat(shapes: Iterable[Any]) -> Iterator[Any]:
    """The shapes, those in groups too, with a stack of its own: groups may be nested without end."""
    waiting = [iter(shapes)]
    while waiting:
        shape = next(waiting[-1], None)
        if shape is None:
            waiting.pop()
        elif hasattr(shape, "shapes"):
            waiting.append(iter(shape.shapes))
        else:
            yield shape


def _shape_blocks(shape: Any) -> Iterator[Block]:
    if getattr(shape, "has_table", False):
        rows = (" | ".join(one_line(cell.text) for cell in row.cells) for row in shape.table.rows)
        yield Block(ElementKind.TABLE, "\n".join(row for row in rows if row.strip(" |")))
    elif getattr(shape, "has_chart", False):
        yield from _chart_blocks(shape.chart)
    elif shape.has_text_frame:
        yield from _paragraphs(shape.text_frame)
    else:
        yield from _description(shape)


def _paragraphs(frame: Any) -> Iterator[Block]:
    paragraphs = [paragraph for paragraph in frame.paragraphs if paragraph.text.strip()]
    for paragraph in paragraphs:
        lines = clean(paragraph.text).replace("\v", "\n").strip()
        if len(paragraphs) > 1:
            yield Block(ElementKind.LIST_ITEM, "  " * paragraph.level + "- " + lines)
        else:
            yield Block(ElementKind.PARAGRAPH, lines)


def _chart_blocks(chart: Any) -> Iterator[Block]:
    """The title of a chart and its numbers, a line for each category."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield Block(ElementKind.PARAGRAPH, one_line(chart.chart_title.text_frame.text))
    for plot in chart.plots:
        categories = [one_line(str(category)) for category in plot.categories][:_MAX_CHART_POINTS]
        series = list(plot.series)
        rows = [" | ".join(["", *(one_line(each.name) for each in series)])]
        values = [list(each.values) for each in series]
        for number, category in enumerate(categories):
            cells = (str(column[number]) if number < len(column) else "" for column in values)
            rows.append(" | ".join([category, *cells]))
        yield Block(ElementKind.TABLE, "\n".join(rows))


def _description(shape: Any) -> Iterator[Block]:
    """What the author wrote about a picture."""
    node = next(iter(shape.element.xpath(".//p:cNvPr")), None)
    text = one_line(node.get("descr")) if node is not None else ""
    if len(text) >= _SHORTEST_DESCRIPTION:
        yield Block(ElementKind.PARAGRAPH, text)


READER = Reader(
    name="pptx",
    version=1,
    suffixes=(".pptx", ".pptm"),
    media_type="application/vnd.openxmlformats-officedocument.presentationml.presentation",
    extract=extract,
)
