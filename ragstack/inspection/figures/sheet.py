"""Writing figures: each as PNG, SVG and CSV, all together as one sheet, and a list of what they show.

Nothing here knows what a figure is about. Files are replaced one by one; a folder that holds other things
keeps them.
"""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragstack import __version__
from ragstack.errors import UsageError
from ragstack.inspection.figures.table import Figure
from ragstack.inspection.figures.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from matplotlib.figure import SubFigure

FORMATS = ("png", "svg")
SHEET = "sheet"
LIST = "figures.json"

_DOTS_PER_INCH = 160
_SHEET_COLUMNS = 2
_SHEET_CELL = (7.6, 5.2)


def write_figures(figures: Sequence[Figure], directory: Path, theme: Theme) -> list[Path]:
    """Draw every figure and the sheet into `directory`; returns the files, the sheet's first.

    `NAME.csv` holds exactly the numbers of `NAME.png` and `NAME.svg`; `figures.json` names the unit and the
    origin of every column, the machine and the versions.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = [directory / f"{SHEET}.{kind}" for kind in FORMATS]
    with _drawing(theme):
        _save(_sheet(figures, theme), written)
        for figure in figures:
            files = [directory / f"{figure.name}.{kind}" for kind in FORMATS]
            _save(_single(figure, theme), files)
            written += files
    for figure in figures:
        path = directory / f"{figure.name}.csv"
        figure.table.write(path)
        written.append(path)
    listing = directory / LIST
    listing.write_text(json.dumps(_listing(figures), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*written, listing]


def write_figure(figure: Figure, path: Path, theme: Theme) -> None:
    """Draw one figure alone, as PNG, SVG or PDF by the suffix of `path`; UsageError for another suffix."""
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"`{path}` is no figure's name", hint="end it with `.png`, `.svg` or `.pdf`")
    with _drawing(theme):
        _save(_single(figure, theme), [path])


@contextmanager
def _drawing(theme: Theme) -> Iterator[None]:
    """The theme in force, without a window system, whatever the user's own matplotlib settings are."""
    import matplotlib as mpl

    settings: Any = theme.settings  # a mapping of the names that matplotlib's types spell out
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        # A font without a glyph of some document's name draws a box; that is no reason to fail.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def _single(figure: Figure, theme: Theme) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=figure.size, layout="constrained")
    _draw(canvas.add_subfigure(canvas.add_gridspec()[0]), figure, theme)
    return canvas


def _draw(cell: SubFigure, figure: Figure, theme: Theme) -> None:
    cell.suptitle(figure.title, x=0.02, ha="left", fontsize=11, fontweight="bold")
    figure.draw(cell, figure.table, theme)


def _sheet(figures: Sequence[Figure], theme: Theme) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    rows = -(-len(figures) // _SHEET_COLUMNS)
    width, height = _SHEET_CELL
    canvas = Canvas(figsize=(width * _SHEET_COLUMNS, height * rows), layout="constrained")
    cells = canvas.subfigures(rows, _SHEET_COLUMNS, squeeze=False, wspace=0.04, hspace=0.04)
    for figure, cell in zip(figures, cells.flat, strict=False):
        _draw(cell, figure, theme)
    return canvas


def _save(canvas: Canvas, files: Sequence[Path]) -> None:
    for path in files:
        metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
        canvas.savefig(path, dpi=_DOTS_PER_INCH, metadata=metadata)


def _listing(figures: Sequence[Figure]) -> dict[str, Any]:
    return {
        "ragstack": __version__,
        "matplotlib": version("matplotlib"),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "figures": [
            {
                "name": figure.name,
                "title": figure.title,
                "notes": list(figure.notes),
                "rows": len(figure.table.rows),
                "columns": [
                    {"name": column.name, "unit": column.unit, "origin": str(column.origin)}
                    for column in figure.table.columns
                ],
            }
            for figure in figures
        ],
    }
