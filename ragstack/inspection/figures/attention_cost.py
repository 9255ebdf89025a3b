"""What full, sliding-window and block-sparse attention cost by length: time measured, beside the formula.

The formula counts operations; one rate for all curves, measured by full attention at the longest length,
turns them into seconds. A pattern that lies above its curve reaches less of that rate, and it shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ragstack.context.attention import AttentionPattern, ContextAnalyzer
from ragstack.inspection.figures.table import Column, Figure, Origin, Table, Value
from ragstack.inspection.figures.theme import LINES, MARKERS, Theme, legend_below, second_axis, token_axis

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

LENGTHS = (512, 1_024, 2_048, 4_096, 8_192)
DIMENSIONS = 64
WINDOW = 256
BLOCK = 64
ROUNDS = 3
LEAST_SECONDS = 0.15
"""Each length is timed at least so often and so long; the fastest counts, as disturbance only slows a run."""

_COLUMNS = (
    Column("pattern", Origin.CHOSEN),
    Column("tokens", Origin.CHOSEN, "tokens"),
    Column("operations", Origin.COMPUTED, "operations"),
    Column("measured_seconds", Origin.MEASURED, "seconds"),
    Column("formula_seconds", Origin.COMPUTED, "seconds"),
)


def attention_cost_figure(lengths: Sequence[int] = LENGTHS) -> Figure:
    """Times of one head of 64 dimensions over `lengths`, longest last."""
    analyzer = ContextAnalyzer()
    measured = [
        (pattern, tokens, _operations(analyzer, pattern, tokens), _seconds(attention, tokens))
        for pattern, attention in _attentions(analyzer).items()
        for tokens in lengths
    ]
    _, _, operations, seconds = next(
        each for each in measured if each[0] is AttentionPattern.FULL and each[1] == lengths[-1]
    )
    rate = operations / seconds
    rows: list[tuple[Value, ...]] = [
        (str(pattern), tokens, count, taken, count / rate) for pattern, tokens, count, taken in measured
    ]
    return Figure(
        name="attention-cost",
        title="Time of attention by its pattern",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        notes=(
            f"one head of {DIMENSIONS} dimensions, float32; a window of {WINDOW} tokens, blocks of {BLOCK}",
            f"one rate for all: {rate / 1e9:.1f} GFLOP/s, of full attention at {lengths[-1]:,} tokens",
        ),
    )


def _attentions(analyzer: ContextAnalyzer) -> dict[AttentionPattern, Callable[[Any], Any]]:
    return {
        AttentionPattern.FULL: lambda x: analyzer.sliding_window_attention(x, 2 * len(x)),
        AttentionPattern.SLIDING_WINDOW: lambda x: analyzer.sliding_window_attention(x, WINDOW),
        AttentionPattern.BLOCK_SPARSE: lambda x: analyzer.block_sparse_attention(x, BLOCK),
    }


def _operations(analyzer: ContextAnalyzer, pattern: AttentionPattern, tokens: int) -> int:
    costs = analyzer.attention_complexity(
        tokens, DIMENSIONS, pattern=pattern, window_size=WINDOW, block_size=BLOCK
    )
    return int(costs["operations"])


def _seconds(attention: Callable[[Any], Any], tokens: int) -> float:
    import numpy as np

    x = np.random.default_rng(tokens).standard_normal((tokens, DIMENSIONS)).astype(np.float32)
    times: list[float] = []
    while len(times) < ROUNDS or sum(times) < LEAST_SECONDS:
        begun = time.perf_counter()
        attention(x)
        times.append(time.perf_counter() - begun)
    return min(times)


def _draw(figure: SubFigure, table: Table, theme: Theme) -> None:
    axes = figure.subplots()
    for number, pattern in enumerate(table.distinct("pattern")):
        rows = table.select(pattern=pattern)
        tokens, colour = rows.column("tokens"), theme.colour(number)
        axes.plot(
            tokens,
            rows.column("measured_seconds"),
            MARKERS[number],
            color=colour,
            label=f"{pattern}: measured",
        )
        axes.plot(
            tokens,
            rows.column("formula_seconds"),
            color=colour,
            ls=LINES[number],
            label=f"{pattern}: formula",
        )
    second_axis(axes)
    token_axis(axes, table.column("tokens"))
    legend_below(axes)
