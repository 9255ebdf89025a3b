"""Reads tables in text files (CSV, TSV): every row is written with its header and located by its number."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Literal

from ragstack.loading.encoding import decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import OWN_CODE_BYTES, Reader
from ragstack.loading.readers.blocks import Composition
from ragstack.loading.readers.rows import cell_text, written_rows
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document

_SEPARATORS = "\t;,|"
_SAMPLE_LINES = 20
_MAX_FIELD = 32_767
"""Characters of a quoted field, as in Excel; a longer one is what follows a quote that is never closed."""

_ANY_FIELD = 2**31 - 1


def extract(data: bytes, _name: str, _limits: Limits) -> Document:
    """The document of a CSV or TSV file."""
    refuse_other_formats(data)
    return parse(decode(data))


def parse(text: str) -> Document:
    """The document of the clean text of a table."""
    composition = Composition()
    composition.add_items(
        (block, "row", str(number)) for number, block in written_rows(_rows(text, separator_of(text)))
    )
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
    )


def separator_of(text: str) -> str:
    """The character that parts the columns: the one that is in the most of the first lines, equally often."""
    lines = [line for line in text[:100_000].split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES] if line.strip()]

    def evidence(separator: str) -> tuple[int, int]:
        counts = [line.count(separator) for line in lines]
        usual = max(set(counts), key=counts.count, default=0)
        return (counts.count(usual) if usual else 0), usual

    return max(_SEPARATORS, key=evidence)


def _rows(text: str, separator: str) -> Iterator[tuple[int, Sequence[str]]]:
    """The rows with their numbers; where a quote is never closed, quotes mean nothing."""
    quoting = _quoting(text, separator)
    csv.field_size_limit(_ANY_FIELD)
    for number, row in enumerate(_reader(text, separator, quoting), start=1):
        yield number, [cell_text(cell) for cell in row]


def _quoting(text: str, separator: str) -> Literal[0, 3]:
    csv.field_size_limit(_MAX_FIELD)
    try:
        for _ in _reader(text, separator, csv.QUOTE_MINIMAL):
            pass
    except csv.Error:
        return csv.QUOTE_NONE
    return csv.QUOTE_MINIMAL


def _reader(text: str, separator: str, quoting: Literal[0, 3]) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline="\n"), delimiter=separator, quoting=quoting)


READER = Reader(
    name="table",
    version=1,
    suffixes=(".csv", ".tsv", ".tab"),
    media_type="text/csv",
    extract=extract,
    parse=parse,
    unguarded_bytes=OWN_CODE_BYTES,
)
