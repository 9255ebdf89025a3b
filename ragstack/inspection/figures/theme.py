"""How figures look: colours that colour-blind people tell apart, a light and a dark theme, axis units.

The palette is Okabe and Ito's (https://jfly.uni-koeln.de/color/), with its darkest tones exchanged in the
dark theme. No meaning is carried by colour alone: series differ in marker or line style too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))

_MEBI = 2**20


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one theme; `series` in the order in which they are used."""

    name: str
    background: str
    ink: str
    faint: str
    series: tuple[str, ...]

    def colour(self, number: int) -> str:
        """The colour of series `number`, beginning again after the last."""
        return self.series[number % len(self.series)]

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of matplotlib; text is never read as mathematics, because it comes from documents."""
        return {
            "figure.facecolor": self.background,
            "savefig.facecolor": self.background,
            "axes.facecolor": self.background,
            "axes.edgecolor": self.ink,
            "axes.labelcolor": self.ink,
            "text.color": self.ink,
            "xtick.color": self.ink,
            "ytick.color": self.ink,
            "grid.color": self.faint,
            "axes.grid": True,
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.fontsize": 8.5,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 5.5,
            "font.size": 10,
            "text.parse_math": False,
            "svg.fonttype": "none",
            "svg.hashsalt": "ragstack",
        }


LIGHT = Theme(
    name="light",
    background="#ffffff",
    ink="#222222",
    faint="#dddddd",
    series=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d1f"),
)
DARK = Theme(
    name="dark",
    background="#14171c",
    ink="#e8e8e8",
    faint="#3a3f47",
    series=("#56b4e9", "#e69f00", "#2fc79a", "#e59cc4", "#f0e442", "#ff8a4c", "#ffffff", "#b6a06a"),
)
THEMES: Mapping[str, Theme] = {LIGHT.name: LIGHT, DARK.name: DARK}


def legend_below(axes: Axes, *, columns: int = 2) -> None:
    """A legend under the axes, where it can hide nothing."""
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def token_axis(axes: Axes, values: Sequence[float], label: str = "context length (tokens)") -> None:
    """A logarithmic axis of tokens whose ticks are the lengths themselves, as 512 or 8k."""
    axes.set_xscale("log", base=2)
    ticks = _thinned(sorted(set(values)), 9)
    axes.set_xticks(ticks, [tokens_label(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(label)


def byte_axis(axes: Axes, label: str = "memory") -> None:
    """A logarithmic axis of bytes with ticks at powers of 16, as 64 MiB."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_locator(LogLocator(base=16))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: bytes_label(value)))
    axes.set_ylabel(label)


def second_axis(axes: Axes) -> None:
    """A logarithmic axis of times, as 5 ms or 2 s."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds_label(value)))
    axes.set_ylabel("time")


def seconds_label(value: float) -> str:
    """A time in the unit that leaves a number of at least 1."""
    if value >= 7_200:
        return f"{value / 3_600:.2g} h"
    if value >= 120:
        return f"{value / 60:.3g} min"
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} \u00b5s"


def tokens_label(value: float) -> str:
    """512, 4k, 128k, 1M: powers of two in the usual words."""
    if value >= _MEBI and value % _MEBI == 0:
        return f"{value / _MEBI:g}M"
    if value >= 1_024 and value % 1_024 == 0:
        return f"{value / 1_024:g}k"
    return f"{value:,.0f}"


def bytes_label(value: float) -> str:
    """A size in the largest unit that leaves a number of at least 1."""
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1_024:
            return f"{size:.3g} {unit}"
        size /= 1_024
    return f"{size:.3g} PiB"


def _thinned(values: Sequence[float], most: int) -> list[float]:
    """Every nth of `values`, counted from the last, so that at most `most` are left."""
    step = -(-len(values) // most) if values else 1
    return list(reversed(list(reversed(values))[::step]))
