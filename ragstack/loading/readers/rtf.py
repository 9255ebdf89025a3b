"""Reads rich text (RTF) with striprtf: paragraphs, tables, and the title, author and date of its header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from ragstack.errors import LoadingError
from ragstack.loading.encoding import clean
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Block, assemble
from ragstack.loading.readers.xml_tree import one_line, without_title
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, ElementKind

_PROPERTY = re.compile(r"\{\\(title|author|subject|keywords)\s([^{}]{0,1000})\}")
_CREATED = re.compile(r"\{\\creatim\\yr(\d{4})\\mo(\d{1,2})\\dy(\d{1,2})")
_INFORMATION_CHARACTERS = 65_536
_TAG = "{\\rtf"


def extract(data: bytes, _name: str, _limits: Limits) -> Document:
    """The document of an RTF file."""
    from striprtf.striprtf import rtf_to_text

    # RTF is ASCII with escapes; what is not goes through byte by byte as the escapes would.
    source = data.lstrip(b"\xef\xbb\xbf \r\n").decode("cp1252", errors="replace")
    if not source.startswith(_TAG):
        refuse_other_formats(data, "an RTF document")
        raise LoadingError("not an RTF document, though its name says so")
    text, elements = assemble(_blocks(clean(rtf_to_text(source, errors="replace"))))
    metadata = _metadata(source[:_INFORMATION_CHARACTERS])
    return Document(
        text=text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=metadata.get("title"),
        elements=elements,
        metadata=without_title(metadata),
    )


def _blocks(text: str) -> Iterator[Block]:
    """A paragraph a line; lines of cells that follow each other are a table."""
    lines = (line.strip() for line in text.split("\n"))
    for is_row, group in groupby(lines, key=lambda line: line.endswith("|")):
        if is_row:
            rows = [" | ".join(" ".join(cell.split()) for cell in line[:-1].split("|")) for line in group]
            yield Block(ElementKind.TABLE, "\n".join(row for row in rows if row.strip(" |")))
        else:
            yield from (Block(ElementKind.PARAGRAPH, line) for line in group)


def _metadata(head: str) -> dict[str, str]:
    from striprtf.striprtf import rtf_to_text

    metadata: dict[str, str] = {}
    for name, value in _PROPERTY.findall(head):
        plain = one_line(rtf_to_text(f"{_TAG}1 {value}}}", errors="replace"))
        if plain:
            metadata.setdefault(name, plain)
    created = _CREATED.search(head)
    if created is not None:
        year, month, day = (int(part) for part in created.groups())
        metadata["created"] = f"{year:04}-{month:02}-{day:02}"
    return metadata


READER = Reader(
    name="rtf",
    version=1,
    suffixes=(".rtf",),
    media_type="application/rtf",
    extract=extract,
)
