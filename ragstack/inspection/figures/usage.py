"""Context usage turn by turn: how many tokens of the prompt each part took, under the limit in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ragstack.inspection.figures.table import Column, Figure, Origin, Table, Value
from ragstack.inspection.figures.theme import Theme, legend_below

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from ragstack.store.history.history import History

MAX_TURNS = 40
"""Turns that are drawn: the latest; further bars are too thin to read."""

PASSAGES = "passages"
RESERVE = "reserve for the answer"
LIMIT = "limit in force"
_HATCHES = ("", "//", "..", "xx", "\\\\", "--")

_COLUMNS = (
    Column("turn", Origin.STORED),
    Column("conversation", Origin.STORED),
    Column("part", Origin.STORED),
    Column("tokens", Origin.MEASURED, "tokens"),
)


@dataclass(frozen=True, slots=True)
class UsedContext:
    """The prompt of one turn: which conversation it belongs to, and its ledger as the history keeps it."""

    conversation: int
    ledger: Mapping[str, Any]


def usage_of_history(history: History) -> Figure | None:
    """The latest turns of the history, oldest first; None while it is empty."""
    turns: list[UsedContext] = []
    for conversation in history.conversations():
        listed = history.turns(conversation.conversation_id)
        turns = [UsedContext(conversation.conversation_id, turn.ledger) for turn in listed] + turns
        if len(turns) >= MAX_TURNS:
            break
    return usage_figure(turns[-MAX_TURNS:]) if turns else None


def usage_figure(turns: Sequence[UsedContext]) -> Figure:
    """Stacked tokens of each turn's prompt; the line is the binding limit and the reserve together."""
    rows = [row for number, turn in enumerate(turns, start=1) for row in _parts(number, turn)]
    conversations = len({turn.conversation for turn in turns})
    return Figure(
        name="context-usage",
        title=f"Context usage over {len(turns):,} turns",
        table=Table(_COLUMNS, tuple(rows)),
        draw=_draw,
        notes=(
            f"turns of {conversations:,} conversations, a thin line between two",
            "the limit in force is what the prompt may take and the reserve beside it",
        ),
    )


def _parts(number: int, turn: UsedContext) -> list[tuple[Value, ...]]:
    ledger = turn.ledger
    limit = min(term["tokens"] for term in ledger["limits"])
    parts = [
        *((charge["name"], charge["tokens"]) for charge in ledger["charges"]),
        (PASSAGES, ledger["passage_tokens"]),
        (RESERVE, ledger["reserve"]),
    ]
    drawn = [(name, tokens) for name, tokens in parts if tokens or name == PASSAGES]
    return [(number, turn.conversation, *each) for each in (*drawn, (LIMIT, limit + ledger["reserve"]))]


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
    for border in _borders(table):
        axes.axvline(border, color=theme.ink, lw=0.5, ls=":")
    axes.set_xlabel("turn")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("tokens of the reader")
    axes.grid(visible=False, axis="x")
    legend_below(axes, columns=3)


def _borders(table: Table) -> list[float]:
    """Where one conversation ends and the next begins."""
    conversations = dict(zip(table.column("turn"), table.column("conversation"), strict=True))
    turns = sorted(conversations)
    return [
        (turn + after) / 2 for turn, after in pairwise(turns) if conversations[turn] != conversations[after]
    ]
