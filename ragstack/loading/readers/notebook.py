"""Reads Jupyter notebooks (ipynb): Markdown with its structure, code and the text of its output, by cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ragstack.errors import LoadingError
from ragstack.loading.encoding import clean, decode
from ragstack.loading.limits import Limits, too_many
from ragstack.loading.readers import html, markdown
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Block, Composition
from ragstack.loading.readers.xml_tree import one_line
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, ElementKind

_MAX_OUTPUT = 20_000
"""Characters of the output of a cell: what a person still reads; logs of training runs have millions."""


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of a notebook of format 3 or 4."""
    refuse_other_formats(data, "a notebook")
    try:
        notebook = json.loads(decode(data))
    except RecursionError as error:
        raise LoadingError("nested too deeply for a notebook") from error
    except ValueError as error:
        raise LoadingError("damaged, or not a notebook") from error
    cells = _cells(notebook)
    if len(cells) > limits.pages:
        raise too_many(len(cells), "cells", limits)
    composition = Composition()
    for number, cell in enumerate(cells, start=1):
        composition.mark("cell", str(number))
        _add(composition, cell)
    metadata = _metadata(notebook)
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=metadata.pop("title", None) or _first_title(composition),
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
        metadata=metadata | {"cells": str(len(cells))},
    )


def _cells(notebook: Any) -> list[dict[str, Any]]:
    """The cells of a notebook; those of format 3 lie in worksheets."""
    if not isinstance(notebook, dict):
        raise LoadingError("not a notebook, though its name says so")
    cells = notebook.get("cells")
    if cells is None:
        sheets = notebook.get("worksheets")
        cells = [cell for sheet in _dicts(sheets) for cell in _dicts(sheet.get("cells"))]
    if not isinstance(cells, list) or ("cells" not in notebook and "worksheets" not in notebook):
        raise LoadingError("not a notebook, though its name says so")
    return _dicts(cells)


def _add(composition: Composition, cell: dict[str, Any]) -> None:
    source = _text(cell.get("source", cell.get("input")))
    kind = cell.get("cell_type")
    if kind == "markdown":
        composition.add_document(markdown.parse(source))
    elif kind == "heading":
        level = cell.get("level")
        level = level if isinstance(level, int) and 1 <= level <= 6 else 1
        composition.add_blocks([Block(ElementKind.HEADING, one_line(source), level)])
    elif kind == "code":
        outputs = (Block(ElementKind.CODE, text) for text in _outputs(cell))
        composition.add_blocks([Block(ElementKind.CODE, source.strip("\n")), *outputs])
    else:
        composition.add_blocks([Block(ElementKind.PARAGRAPH, source)])


def _outputs(cell: dict[str, Any]) -> Iterator[str]:
    for output in _dicts(cell.get("outputs")):
        given = output.get("data")
        data = given if isinstance(given, dict) else output
        text = _text(data.get("text/plain", data.get("text")))
        if not text and "text/html" in data:
            text = html.parse(_text(data["text/html"])).text
        if output.get("output_type") in ("error", "pyerr"):
            text = f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
        yield text[:_MAX_OUTPUT].strip("\n")


def _metadata(notebook: dict[str, Any]) -> dict[str, str]:
    given = notebook.get("metadata")
    given = given if isinstance(given, dict) else {}
    kernel = given.get("language_info") or given.get("kernelspec")
    authors = (one_line(_text(author.get("name"))) for author in _dicts(given.get("authors")))
    language = kernel.get("name") if isinstance(kernel, dict) else None
    metadata = {
        "title": one_line(_text(given.get("title"))),
        "author": one_line(", ".join(filter(None, authors))),
        "programming_language": one_line(_text(language)),
    }
    return {key: value for key, value in metadata.items() if value}


def _first_title(composition: Composition) -> str | None:
    return next((element.title for element in composition.elements if element.level == 1), None)


def _text(value: Any) -> str:
    """A string, or a list of lines, as clean text."""
    if isinstance(value, list):
        value = "".join(line for line in value if isinstance(line, str))
    return clean(value) if isinstance(value, str) else ""


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


READER = Reader(
    name="notebook",
    version=1,
    suffixes=(".ipynb",),
    media_type="application/x-ipynb+json",
    extract=extract,
)
