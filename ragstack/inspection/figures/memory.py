"""Memory against context length: the seed's curve, what it is mistaken for, and what was really measured.

Everything about the chosen model is computed by the complexity model; the points are peaks of real forward
passes of a small model on this machine, beside what the same formulas say of that small model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ragstack.context.attention import ContextAnalyzer
from ragstack.context.buffers import pass_memory
from ragstack.context.cache import cache_bytes
from ragstack.context.complexity import estimate_memory
from ragstack.context.deployment import AttentionKernel
from ragstack.inspection.figures.table import Column, Figure, Origin, Table, Value
from ragstack.inspection.figures.theme import LINES, Theme, byte_axis, legend_below, token_axis

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from ragstack.context.architectures.description import Architecture
    from ragstack.context.deployment import Deployment
    from ragstack.context.hardware import AvailableMemory
    from ragstack.inspection.forward_passes import PassRow

LENGTHS = tuple(2**power for power in range(8, 18))
"""Context lengths of the curves: 256 to 131,072 tokens."""

MACHINE = "memory of this machine"

_COLUMNS = (
    Column("series", Origin.CHOSEN),
    Column("origin", Origin.CHOSEN),
    Column("tokens", Origin.CHOSEN, "tokens"),
    Column("bytes", Origin.BY_ROW, "bytes"),
)


def memory_figure(
    architecture: Architecture,
    deployment: Deployment,
    memory: AvailableMemory,
    passes: Iterable[PassRow],
    lengths: Sequence[int] = LENGTHS,
) -> Figure:
    """Curves for `architecture` as `deployment` runs it, points from `passes`, the machine as a line."""
    rows = [
        *_curves(architecture, deployment, lengths),
        *_points(passes),
        *((MACHINE, "measured", tokens, memory.bytes) for tokens in (lengths[0], lengths[-1])),
    ]
    return Figure(
        name="memory",
        title=f"Memory against context length: {architecture.name}",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        size=(7.2, 5.6),
        notes=(
            f"{architecture.name} as {deployment.engine} runs it, with a {deployment.key_type} cache",
            "the seed's curve, n^2 d 4 bytes, counts operations as if they were bytes",
            f"{MACHINE}: {memory.reason}",
        ),
    )


def _curves(
    architecture: Architecture, deployment: Deployment, lengths: Sequence[int]
) -> Iterable[tuple[Value, ...]]:
    analyzer = ContextAnalyzer(heads=architecture.heads, bytes_per_element=2)
    for tokens in lengths:
        seed = analyzer.attention_complexity(tokens, architecture.hidden_size)
        yield "the seed: n\u00b2 \u00b7 d \u00b7 4", "computed", tokens, int(seed["memory_gb"] * 2**30)
        yield "scores of one layer, if materialised", "computed", tokens, seed["score_bytes"]
        yield "key-value cache", "computed", tokens, cache_bytes(architecture, deployment, tokens)
        yield "buffers with fused attention", "computed", tokens, _buffers(architecture, deployment, tokens)
        total = estimate_memory(architecture, deployment, tokens).upper.total
        yield "weights and all, upper bound", "computed", tokens, total


def _buffers(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    return pass_memory(architecture, deployment, tokens).expected


def _points(passes: Iterable[PassRow]) -> Iterable[tuple[Value, ...]]:
    """A series for each way in which the small model was run, and the formulas' answer to it."""
    for row in passes:
        kernel = "eager" if row.attention is AttentionKernel.EAGER else "fused"
        name = f"small {row.model}, {kernel}"
        yield name, "measured", row.tokens, row.measured
        yield name, "computed", row.tokens, row.expected


def _draw(figure: SubFigure, table: Table, theme: Theme) -> None:
    axes = figure.subplots()
    for number, series in enumerate(name for name in table.distinct("series") if name != MACHINE):
        computed = table.select(series=series, origin="computed")
        measured = table.select(series=series, origin="measured")
        colour, line = theme.colour(number), LINES[number % len(LINES)]
        label = series if not measured.rows else f"{series}: computed"
        axes.plot(computed.column("tokens"), computed.column("bytes"), color=colour, ls=line, label=label)
        if measured.rows:
            points = (measured.column("tokens"), measured.column("bytes"))
            axes.plot(*points, "o", color=colour, mfc="none", label=f"{series}: measured")
    machine = table.select(series=MACHINE)
    axes.axhline(machine.column("bytes")[0], color=theme.ink, lw=1.2)
    axes.annotate(
        MACHINE,
        (machine.column("tokens")[0], machine.column("bytes")[0]),
        xytext=(2, 3),
        textcoords="offset points",
        fontsize=8.5,
        bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
    )
    token_axis(axes, table.column("tokens"))
    byte_axis(axes)
    legend_below(axes)
