"""Context usage turn by turn: how many tokens of the prompt each part took, under the limit in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragstack.inspection.figures.table import Column, Figure, Origin, Table, Value
from ragstack.inspection.figures.theme import Theme, legend_below

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from ragstack.records import Ledger

PASSAGES = "passages"
RESERVE = "reserve for the answer"
LIMIT = "limit in force"
_HATCHES = ("", "//", "..", "xx", "\\\\", "--")

_COLUMNS = (
    Column("turn", Origin.MEASURED),
    Column("part", Origin.MEASURED),
    Column("tokens", Origin.MEASURED, "tokens"),
)


def usage_figure(ledgers: Sequence[Ledger]) -> Figure:
    """Stacked tokens of each turn's prompt; the line is the binding limit and the reserve together."""
    rows = [row for turn, ledger in enumerate(ledgers, start=1) for row in _parts(turn, ledger)]
    return Figure(
        name="context-usage",
        title=f"Context usage over {len(ledgers):,} turns",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        notes=("the limit in force is what the prompt may take and the reserve beside it",),
    )


def _parts(turn: int, ledger: Ledger) -> list[tuple[Value, ...]]:
    return [
        *((turn, charge.name, charge.tokens) for charge in ledger.charges if charge.tokens),
        (turn, PASSAGES, ledger.passage_tokens),
        *([(turn, RESERVE, ledger.reserve)] if ledger.reserve else []),
        (turn, LIMIT, ledger.binding.tokens + ledger.reserve),
    ]


def _draw(figure: SubFigure, table: Table, theme: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    axes = figure.subplots()
    turns = table.distinct("turn")
    below = dict.fromkeys(turns, 0)
    for number, part in enumerate(name for name in table.distinct("part") if name != LIMIT):
        tokens = dict.fromkeys(turns, 0)
        for row in table.select(part=part).records():
            tokens[row["turn"]] += row["tokens"]
        axes.bar(
            turns,
            [tokens[turn] for turn in turns],
            bottom=[below[turn] for turn in turns],
            color=theme.colour(number),
            hatch=_HATCHES[number % len(_HATCHES)],
            edgecolor=theme.background,
            linewidth=0.4,
            label=part,
        )
        below = {turn: below[turn] + tokens[turn] for turn in turns}
    limits = table.select(part=LIMIT)
    axes.step(limits.column("turn"), limits.column("tokens"), where="mid", color=theme.ink, label=LIMIT)
    axes.set_xlabel("turn")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("tokens of the reader")
    axes.grid(visible=False, axis="x")
    legend_below(axes, columns=3)
