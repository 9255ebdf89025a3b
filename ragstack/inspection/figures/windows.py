"""The chunking of a document: every window over the text, where windows overlap, and the sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragstack.inspection.figures.table import Column, Figure, Origin, Table, Value
from ragstack.inspection.figures.theme import Theme, legend_below

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from ragstack.inspection.overview import DocumentView

LANES = 3
"""Windows are drawn in this many lanes in turn, so that neighbours that overlap do not hide each other."""

_COLUMNS = (
    Column("chunk_id", Origin.STORED),
    Column("start", Origin.STORED, "characters"),
    Column("end", Origin.STORED, "characters"),
    Column("tokens", Origin.STORED, "tokens"),
    Column("shared_characters", Origin.COMPUTED, "characters"),
    Column("section", Origin.STORED),
)


def windows_figure(view: DocumentView) -> Figure:
    """The windows of one document; `shared_characters` are those that the window before holds too."""
    rows: list[tuple[Value, ...]] = []
    reached = 0
    for chunk in view.chunks:
        section = chunk.headings[-1] if chunk.headings else ""
        shared = max(0, reached - chunk.start)
        rows.append((chunk.chunk_id, chunk.start, chunk.end, chunk.tokens, shared, section))
        reached = max(reached, chunk.end)
    return Figure(
        name="chunk-windows",
        title=f"Windows over {view.info.path}",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        size=(7.2, 3.2),
        notes=(f"document {view.info.document_id}, {view.info.characters:,} characters",),
    )


def _draw(figure: SubFigure, table: Table, theme: Theme) -> None:
    axes = figure.subplots()
    records = list(table.records())
    for lane in range(LANES):
        spans = [(row["start"], row["end"] - row["start"]) for row in records[lane::LANES]]
        label = "window" if lane == 0 else None
        axes.broken_barh(
            spans, (lane + 0.1, 0.8), facecolors=theme.colour(0), edgecolors=theme.background, label=label
        )
        shared = [
            (row["start"], row["shared_characters"])
            for row in records[lane::LANES]
            if row["shared_characters"]
        ]
        label = "shared with the window before" if lane == 1 else None
        axes.broken_barh(
            shared, (lane + 0.1, 0.8), facecolors=theme.colour(4), hatch="///", edgecolors=theme.background,
            label=label,
        )  # fmt: skip
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("position in the text (characters)")
    axes.invert_yaxis()
    legend_below(axes)
