"""Memory against quality: what evidence each context strategy reads on a data set, and what reading it costs.

Recall and tokens are measured by asking every question of the data set; bytes of key-value cache and prefill
seconds are those prompts put through the complexity model of a language model that need not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragstack.inspection.figures.table import Column, Figure, Origin, Table, Value
from ragstack.inspection.figures.theme import LINES, MARKERS, Theme, bytes_label, seconds_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

    from ragstack.evaluation.strategies import StrategyComparison

_PANELS = (
    ("tokens_read", "tokens read a question", lambda value: f"{value:,.0f}"),
    ("cache_bytes", "key-value cache", bytes_label),
    ("prefill_seconds", "prefill time", seconds_label),
)

_COLUMNS = (
    Column("strategy", Origin.CHOSEN),
    Column("window_tokens", Origin.CHOSEN, "tokens"),
    Column("questions", Origin.CHOSEN),
    Column("evidence_recall", Origin.MEASURED, "share"),
    Column("tokens_read", Origin.MEASURED, "tokens"),
    Column("cache_bytes", Origin.COMPUTED, "bytes"),
    Column("prefill_seconds", Origin.COMPUTED, "seconds"),
)


def tradeoff_figure(comparisons: Sequence[StrategyComparison], *, model: str, dataset: str) -> Figure:
    """A line for each strategy over the windows of `comparisons`; `model` names whose costs they are."""
    rows: list[tuple[Value, ...]] = [
        (
            means.strategy,
            comparison.window,
            means.questions,
            means.recall_read,
            means.tokens_read,
            means.cache_bytes,
            means.prefill_seconds,
        )
        for comparison in comparisons
        for means in comparison.means()
    ]
    return Figure(
        name="strategies",
        title="Evidence read against what reading it costs",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        size=(9.6, 4.4),
        notes=(f"questions of {dataset}; costs of {model}; one point a window, means over the questions",),
    )


def _draw(figure: SubFigure, table: Table, theme: Theme) -> None:
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (column, label, words) in zip(panels, _PANELS, strict=True):
        _draw_panel(axes, table, theme, column)
        axes.set_xscale("log")
        _few_ticks(axes, [value for value in table.column(column) if value])
        axes.xaxis.set_major_formatter(lambda value, _, words=words: words(value))
        axes.set_xlabel(label)
    panels[0].set_ylabel("evidence read (share)")
    panels[0].set_ylim(0, 1.05)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4)


def _draw_panel(axes: Axes, table: Table, theme: Theme, column: str) -> None:
    for number, strategy in enumerate(table.distinct("strategy")):
        rows = table.select(strategy=strategy)
        axes.plot(
            rows.column(column),
            rows.column("evidence_recall"),
            marker=MARKERS[number % len(MARKERS)],
            ls=LINES[number % len(LINES)],
            color=theme.colour(number),
            label=strategy,
        )


def _few_ticks(axes: Axes, values: Sequence[float]) -> None:
    """Three ticks from the smallest to the largest value, evenly on the logarithmic axis."""
    from matplotlib.ticker import NullLocator

    axes.xaxis.set_minor_locator(NullLocator())
    if values:
        low, high = min(values), max(values)
        axes.set_xticks(sorted({low, (low * high) ** 0.5, high}))
