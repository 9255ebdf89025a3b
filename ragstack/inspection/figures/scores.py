"""The scores of one question's candidates: cosine, BM25, what fusion made of them, and which were packed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragstack.inspection.figures.table import Column, Figure, Origin, Table
from ragstack.inspection.figures.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from ragstack.records import Answer

SHOWN = 40
"""Candidates that are drawn: further ones are not told apart by eye."""

_PANELS = (("dense_score", "cosine"), ("lexical_score", "BM25"), ("fused_score", "fused"))

_COLUMNS = (
    Column("rank", Origin.MEASURED),
    Column("chunk_id", Origin.STORED),
    Column("path", Origin.STORED),
    Column("dense_score", Origin.MEASURED, "cosine"),
    Column("lexical_score", Origin.MEASURED, "BM25"),
    Column("fused_score", Origin.MEASURED),
    Column("packed", Origin.MEASURED),
    Column("reason", Origin.MEASURED),
)


def scores_figure(answer: Answer) -> Figure:
    """The candidates of `answer`, best first, with what the packer decided on each."""
    decisions = {decision.chunk_id: decision for decision in answer.ledger.decisions}
    rows = []
    for rank, hit in enumerate(answer.hits[:SHOWN], start=1):
        decision = decisions.get(hit.chunk.chunk_id)
        rows.append(
            (
                rank,
                hit.chunk.chunk_id,
                hit.chunk.path,
                hit.dense_score,
                hit.lexical_score,
                hit.score,
                decision.kept if decision else False,
                decision.reason if decision else "",
            )
        )
    return Figure(
        name="retrieval-scores",
        title=f"Candidates for: {_shortened(answer.question)}",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        size=(7.2, 5.6),
        notes=("filled: packed into the prompt; hollow: left out, with the reason in the table",),
    )


def _shortened(question: str, most: int = 70) -> str:
    words = " ".join(question.split())
    return words if len(words) <= most else f"{words[: most - 3]}..."


def _draw(figure: SubFigure, table: Table, theme: Theme) -> None:
    panels = figure.subplots(len(_PANELS), 1, sharex=True)
    packed = table.select(packed=True)
    dropped = table.select(packed=False)
    for number, (axes, (column, label)) in enumerate(zip(panels, _PANELS, strict=True)):
        colour = theme.colour(number)
        for rows, filling, name in ((packed, colour, "packed"), (dropped, "none", "left out")):
            points = [(r["rank"], r[column]) for r in rows.records() if r[column] is not None]
            axes.plot(
                [rank for rank, _ in points],
                [score for _, score in points],
                "o",
                color=colour,
                mfc=filling,
                label=name,
            )
        axes.set_ylabel(label)
        axes.legend(loc="upper right", ncols=2)
    panels[-1].set_xlabel("rank after fusion")
