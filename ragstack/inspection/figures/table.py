"""The table behind a figure: every number that is drawn, with its unit and where it comes from.

A figure draws from its table and from nothing else, so that the CSV file beside a picture holds exactly what
the picture shows. Knows nothing of matplotlib.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from ragstack.inspection.figures.theme import Theme

Value = str | int | float | bool | None


class Origin(StrEnum):
    """Where a column comes from."""

    MEASURED = "measured"
    COMPUTED = "computed"
    STORED = "stored"
    CHOSEN = "chosen"
    BY_ROW = "as the row's own origin says"


@dataclass(frozen=True, slots=True)
class Column:
    """Name, unit and origin of one column; `unit` is empty for names and counts."""

    name: str
    origin: Origin
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of values under columns; `select` and `column` are how figures read them."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a row has another number of values than there are columns")

    def column(self, name: str) -> list[Any]:
        """The values of one column, in the order of the rows."""
        at = self._place(name)
        return [row[at] for row in self.rows]

    def select(self, **equal: Value) -> Table:
        """The rows whose columns have these values."""
        wanted = [(self._place(name), value) for name, value in equal.items()]
        return Table(self.columns, tuple(row for row in self.rows if all(row[at] == v for at, v in wanted)))

    def distinct(self, name: str) -> list[Any]:
        """The values of a column, each once, in the order in which they first appear."""
        return list(dict.fromkeys(self.column(name)))

    def records(self) -> Iterator[dict[str, Any]]:
        """Each row by the names of its columns."""
        names = [column.name for column in self.columns]
        for row in self.rows:
            yield dict(zip(names, row, strict=True))

    def write(self, path: Path) -> None:
        """Write a CSV file: one line of names, then the rows, floating-point numbers in full."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([column.name for column in self.columns])
            writer.writerows([[_cell(value) for value in row] for row in self.rows])

    def _place(self, name: str) -> int:
        for at, column in enumerate(self.columns):
            if column.name == name:
                return at
        raise KeyError(name)


def _cell(value: Value) -> Value:
    """A text that a spreadsheet would take for a formula is marked as text, as OWASP advises."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture that can be drawn: its file name, what it shows, its table and how it is drawn from it.

    `size` is the width and height of the single picture in inches; `notes` say what a reader must know, such
    as the assumption behind a curve.
    """

    name: str
    title: str
    table: Table
    draw: Callable[[SubFigure, Table, Theme], None]
    size: tuple[float, float] = (7.2, 4.8)
    notes: tuple[str, ...] = ()
