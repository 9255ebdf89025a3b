"""Attention patterns as masks: which keys each query reads, found by running the attention itself.

Queries and keys of zeros give every readable key the same weight, and an identity matrix as the values turns
those weights into the output: what is drawn is what `ContextAnalyzer` computes, not a drawing of the idea.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ragstack.context.attention import ContextAnalyzer, Projections
from ragstack.inspection.figures.table import Column, Figure, Origin, Table, Value
from ragstack.inspection.figures.theme import Theme

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import SubFigure
    from numpy.typing import NDArray

TOKENS = 48
WINDOW = 12
BLOCK = 8
STRIDE = 3

_COLUMNS = (
    Column("pattern", Origin.CHOSEN),
    Column("query", Origin.MEASURED, "position"),
    Column("key", Origin.MEASURED, "position"),
    Column("weight", Origin.MEASURED),
)


def patterns_figure(tokens: int = TOKENS, window: int = WINDOW, block: int = BLOCK) -> Figure:
    """The masks of four causal patterns over `tokens` positions, one row for each pair that is read."""
    analyzer = ContextAnalyzer()
    attentions: dict[str, Callable[[Any, Projections], Any]] = {
        "full causal": lambda x, p: analyzer.sliding_window_attention(x, tokens, causal=True, projections=p),
        f"sliding window, {window} tokens": lambda x, p: analyzer.sliding_window_attention(
            x, window, causal=True, projections=p
        ),
        f"block-sparse, blocks of {block}": lambda x, p: analyzer.block_sparse_attention(
            x, block, causal=True, projections=p
        ),
        f"dilated, every {STRIDE}rd block": lambda x, p: analyzer.block_sparse_attention(
            x, block, local_blocks=0, global_blocks=0, stride=STRIDE, causal=True, projections=p
        ),
    }
    rows = [row for name, attention in attentions.items() for row in _pairs(name, attention, tokens)]
    return Figure(
        name="attention-patterns",
        title="Which keys a query reads",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        size=(7.2, 6.2),
        notes=("each square is a pair of a query and a key that the attention computes",),
    )


def _pairs(
    name: str, attention: Callable[[Any, Projections], Any], tokens: int
) -> Iterable[tuple[Value, ...]]:
    import numpy as np

    nothing = np.zeros((tokens, tokens))
    weights = attention(np.eye(tokens), Projections(query=nothing, key=nothing))
    for query, key in np.argwhere(weights > 0):
        yield name, int(query), int(key), float(weights[query, key])


def _draw(figure: SubFigure, table: Table, theme: Theme) -> None:
    from matplotlib.colors import ListedColormap

    names = table.distinct("pattern")
    tokens = max(table.column("query")) + 1
    full = len(table.select(pattern=names[0]).rows)
    panels = figure.subplots(2, -(-len(names) // 2), sharex=True, sharey=True)
    for number, (axes, name) in enumerate(zip(panels.flat, names, strict=True)):
        rows = table.select(pattern=name)
        axes.imshow(
            _mask(rows, tokens),
            cmap=ListedColormap([theme.background, theme.colour(number)]),
            interpolation="nearest",
        )
        axes.grid(visible=False)
        share = len(rows.rows) / full
        axes.set_title(f"{name}\n{len(rows.rows):,} pairs, {share:.0%} of full", loc="left", fontsize=9)
    figure.supxlabel("key (position)", fontsize=10)
    figure.supylabel("query (position)", fontsize=10)


def _mask(rows: Table, tokens: int) -> NDArray[np.bool_]:
    import numpy as np

    mask = np.zeros((tokens, tokens), dtype=bool)
    mask[rows.column("query"), rows.column("key")] = True
    return mask
