"""The budget of a model over machine memory: the longest window that fits, by the type of its cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragstack.context.solver import largest_within_memory
from ragstack.inspection.figures.table import Column, Figure, Origin, Table, Value
from ragstack.inspection.figures.theme import LINES, MARKERS, Theme, legend_below, tokens_label

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from ragstack.context.architectures.description import Architecture
    from ragstack.context.deployment import Deployment

MEMORY = tuple(gib * 2**30 for gib in (4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128))
CACHE_TYPES = ("f16", "q8_0", "q4_0")

_COLUMNS = (
    Column("cache_type", Origin.CHOSEN),
    Column("memory_bytes", Origin.CHOSEN, "bytes"),
    Column("window_tokens", Origin.COMPUTED, "tokens"),
)


def budget_figure(
    architecture: Architecture, deployment: Deployment, memory: Sequence[int] = MEMORY
) -> Figure:
    """The largest window by the upper estimate; a size of memory into which nothing fits has no point."""
    rows: list[tuple[Value, ...]] = []
    for kind in CACHE_TYPES:
        typed = deployment.with_cache_type(kind)
        for size in memory:
            tokens = largest_within_memory(architecture, typed, size).tokens
            if tokens:
                rows.append((kind, size, tokens))
    return Figure(
        name="budget",
        title=f"The window that fits: {architecture.name}",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        notes=(f"{architecture.name} as {deployment.engine} runs it, by the upper estimate of its memory",),
    )


def _draw(figure: SubFigure, table: Table, theme: Theme) -> None:
    axes = figure.subplots()
    for number, kind in enumerate(table.distinct("cache_type")):
        rows = table.select(cache_type=kind)
        axes.plot(
            [size / 2**30 for size in rows.column("memory_bytes")],
            rows.column("window_tokens"),
            marker=MARKERS[number],
            ls=LINES[number],
            color=theme.colour(number),
            label=f"{kind} cache",
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    ticks = sorted({size / 2**30 for size in table.column("memory_bytes")} & {4, 8, 16, 32, 64, 128})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.yaxis.set_major_formatter(lambda value, _: tokens_label(value))
    axes.set_xlabel("memory for the model (GiB)")
    axes.set_ylabel("window (tokens)")
    legend_below(axes, columns=3)
