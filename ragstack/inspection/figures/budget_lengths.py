"""One budget over the length of the context: memory by its parts, and the time to the first token.

Every number is the budget's own; what cannot be known of it is left out of the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragstack.errors import UsageError
from ragstack.inspection.figures.table import Column, Figure, Origin, Table
from ragstack.inspection.figures.theme import Theme, seconds_label, token_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

    from ragstack.context.budget import Budget

GIB = 2**30

_COLUMNS = (
    Column("tokens", Origin.CHOSEN, "tokens"),
    Column("weights", Origin.COMPUTED, "bytes"),
    Column("cache", Origin.COMPUTED, "bytes"),
    Column("rest", Origin.COMPUTED, "bytes"),
    Column("at_most", Origin.COMPUTED, "bytes"),
    Column("available", Origin.MEASURED, "bytes"),
    Column("seconds", Origin.COMPUTED, "seconds"),
    Column("chosen", Origin.COMPUTED),
)

# Larger than on a sheet: this picture stands alone, and is read at half its size.
_LABEL, _TICK = 14, 12


def budget_lengths_figure(budget: Budget) -> Figure:
    """The sweep of `budget`, drawn. Raises UsageError where the model's layers are not known."""
    if not budget.sweep:
        raise UsageError(
            f"the layers of {budget.model.name} are not known, so there is nothing to draw",
            hint="name its config.json or GGUF file",
        )
    weights = next(line.expected for line in budget.memory if line.name == "weights")
    available = budget.available.bytes if budget.available else None
    rows = tuple(
        (
            row.tokens,
            weights,
            row.cache,
            row.expected - weights - row.cache,
            row.upper,
            available,
            row.seconds_to_first_token,
            row.tokens == budget.tokens and budget.prompt_tokens > 0,
        )
        for row in budget.sweep
    )
    timed = budget.sweep[0].seconds_to_first_token is not None
    return Figure(
        name="budget-lengths",
        title="",
        table=Table(_COLUMNS, rows),
        draw=lambda figure, table, theme: _draw(figure, table, theme, budget.model.name),
        size=(8.0, 8.4 if timed else 4.8),
        notes=budget.notes,
    )


def _draw(figure: SubFigure, table: Table, theme: Theme, model: str) -> None:
    timed = table.column("seconds")[0] is not None
    panels = figure.subplots(2 if timed else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw_memory(panels[0], table, theme)
    panels[0].set_title(f"How much context fits {model}", fontsize=_LABEL + 1, pad=80, loc="left")
    if timed:
        _draw_time(panels[1], table, theme)
    for panel in panels:
        _mark_chosen(panel, table, theme)
        panel.tick_params(labelsize=_TICK)
    powers = [tokens for tokens in table.column("tokens") if tokens & (tokens - 1) == 0]
    token_axis(panels[-1], powers, "context: prompt and answer (tokens)")
    panels[-1].xaxis.label.set_size(_LABEL)


def _draw_memory(axes: Axes, table: Table, theme: Theme) -> None:
    tokens = table.column("tokens")
    parts = [[size / GIB for size in table.column(name)] for name in ("weights", "cache", "rest")]
    names = ("weights", "key-value cache", "buffers, state, overhead")
    colours = (theme.faint, theme.series[5], theme.series[4])
    axes.stackplot(tokens, *parts, colors=colours, labels=names)
    upper = [size / GIB for size in table.column("at_most")]
    axes.plot(tokens, upper, color=theme.ink, ls="--", lw=2, label="at most")
    top = max(upper)
    available = table.column("available")[0]
    if available is not None:
        free = available / GIB
        axes.axhline(free, color=theme.series[1], lw=2.5, label=f"available: {free:.1f} GiB")
        top = min(max(top, free), 2.5 * free) if free <= 2 * top else top
    axes.set_ylim(0, top * 1.06)
    axes.set_ylabel("memory (GiB)", fontsize=_LABEL)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=_TICK, frameon=False)


def _draw_time(axes: Axes, table: Table, theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.plot(
        table.column("tokens"), table.column("seconds"), color=theme.series[0], marker="o", lw=2.5, ms=7
    )
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _time_label(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("time to first token", fontsize=_LABEL)


def _time_label(seconds: float) -> str:
    """Seconds as they are, but minutes and hours where there are many."""
    if seconds < 600:
        return seconds_label(seconds)
    return f"{seconds / 60:,.0f} min" if seconds < 36_000 else f"{seconds / 3600:,.0f} h"


def _mark_chosen(axes: Axes, table: Table, theme: Theme) -> None:
    for tokens in table.select(chosen=True).column("tokens"):
        axes.axvline(tokens, color=theme.series[2], lw=2.5, ls=":")
        right = tokens > sorted(table.column("tokens"))[-1] / 4
        axes.text(
            tokens,
            0.03,
            f"{tokens:,} fit " if right else f" {tokens:,} fit",
            color=theme.series[2],
            fontsize=_LABEL,
            fontweight="bold",
            ha="right" if right else "left",
            transform=axes.get_xaxis_transform(),
        )
