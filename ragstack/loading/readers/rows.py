"""Writes rows of cells as text in which every row carries its header: `Name: Ada | Born: 1815`.

A row that is found, cut out and shown alone says what its numbers are. Whoever reads a sheet or a CSV file
uses it; where the rows come from is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ragstack.loading.encoding import clean
from ragstack.loading.readers.blocks import Block
from ragstack.records import ElementKind

_LOOKED_AT = 10
"""Among so many first rows a header is looked for: titles and blank rows may stand above it."""


def written_rows(rows: Iterable[tuple[int, Sequence[str]]]) -> Iterator[tuple[int, Block]]:
    """The rows (number in the original, cells) as blocks; blank rows are left out.

    The header is the first of the first ten rows that has several cells, all of them different texts, and is
    as wide as any of them. It stands as a table of one line; without one, cells are only parted.
    """
    rows = iter(rows)
    head = [row for _, row in zip(range(_LOOKED_AT), rows, strict=False)]
    place = _header_place([cells for _, cells in head])
    header: Sequence[str] = ()
    for place_here, (number, cells) in enumerate(_chained(head, rows)):
        if place_here == place:
            header = cells
            yield number, Block(ElementKind.TABLE, " | ".join(cell for cell in cells if cell))
        else:
            text = _row(cells, header)
            if text:
                yield number, Block(ElementKind.LIST_ITEM, text)


def cell_text(value: object) -> str:
    """A cell on one line: whole numbers without their `.0`, dates in ISO form."""
    if isinstance(value, str):
        return value.strip() if value.isprintable() else " ".join(clean(value).split())
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, bool):
        return str(value).upper()
    return " ".join(clean(str(value)).split())


def _header_place(rows: Sequence[Sequence[str]]) -> int | None:
    """Which of the rows is the header, None when none is."""
    widest = max((sum(map(bool, row)) for row in rows), default=0)
    for place, row in enumerate(rows[:-1]):
        cells = [cell for cell in row if cell]
        if len(cells) >= 2 and len(cells) * 2 >= widest and _is_header(cells):
            return place
        if len(cells) >= 2:
            return None
    return None


def _is_header(cells: Sequence[str]) -> bool:
    return len(set(cells)) == len(cells) and all(_is_name(cell) for cell in cells)


def _is_name(cell: str) -> bool:
    """Whether a cell may name a column: a text with letters, or a year."""
    return len(cell) <= 100 and (any(map(str.isalpha, cell)) or (len(cell) == 4 and cell.isdigit()))


def _row(cells: Sequence[str], header: Sequence[str]) -> str:
    named = len(header)
    return " | ".join(
        f"{header[place]}: {cell}" if place < named and header[place] else cell
        for place, cell in enumerate(cells)
        if cell
    )


def _chained(
    head: list[tuple[int, Sequence[str]]], rows: Iterator[tuple[int, Sequence[str]]]
) -> Iterator[tuple[int, Sequence[str]]]:
    yield from head
    yield from rows
