"""Lays out rows of untrusted words as aligned lines of plain text that read the same without colour."""

from __future__ import annotations

import shutil
import textwrap
import unicodedata
from collections.abc import Sequence

from ragstack.cli.console import safe_line


def columns(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: str = "  ") -> list[str]:
    """One line a row, columns aligned and two spaces apart; `right` numbers the right-aligned columns."""
    safe = [[safe_line(cell) for cell in row] for row in rows]
    widths = [max(map(display_width, column)) for column in zip(*safe, strict=True)]
    return [
        (
            indent
            + "  ".join(_padded(cell, width, number in right) for number, (cell, width) in enumerate(cells))
        ).rstrip()
        for cells in ([*zip(row, widths, strict=True)] for row in safe)
    ]


def wrapped_columns(
    rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: str = "  "
) -> list[str]:
    """Like `columns`, with the words of the last column wrapped to the terminal, never below 24 columns."""
    *others, _ = zip(*rows, strict=True)
    taken = len(indent) + sum(max(display_width(safe_line(cell)) for cell in column) + 2 for column in others)
    width = max(24, shutil.get_terminal_size().columns - taken)
    wrapped: list[Sequence[str]] = []
    for *cells, words in rows:
        first, *rest = textwrap.wrap(safe_line(words), width, break_on_hyphens=False) or [""]
        wrapped.append([*cells, first])
        wrapped.extend([*[""] * len(cells), line] for line in rest)
    return columns(wrapped, right=right, indent=indent)


def display_width(text: str) -> int:
    """Columns that a terminal gives `text`: two to a wide character, none to a combining one."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - display_width(cell))
    return space + cell if right else cell + space
