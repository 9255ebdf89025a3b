"""The ledger of one prompt: what limits it, what it is charged with, and what is left for passages.

Opens a ledger from the limits and the frame, closes it with what the packer did, and says in words why no
passage was placed. It neither derives the memory and latency limits (`solver` does) nor chooses passages
(`packing` does): those numbers are given to it, and it holds them together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ragstack.context.frames import PromptFrame
from ragstack.context.readers import ReaderModel
from ragstack.errors import BudgetError, UsageError
from ragstack.records import DropReason, Ledger, LedgerTerm

if TYPE_CHECKING:
    from ragstack.context.packing import Packing

SAFETY_MARGIN = 0.10
"""Share of the prompt kept free when the reader's tokenizer is unknown. Onyx keeps 5 %, RAGFlow 3 % to 5 %
even with a tokenizer of the reader's family; a stand-in deserves no less than twice that. What the estimate
in its place misses is measured at `counting.EstimatedCounter`."""


class Limit(StrEnum):
    """The names of the limits on a prompt; the one that binds decides what a user is told."""

    WINDOW = "window"
    MEMORY = "memory"
    LATENCY = "latency"
    EFFECTIVE = "effective length"
    BUDGET = "budget"


class Outcome(StrEnum):
    """What packing came to."""

    PACKED = "packed"
    NOTHING_RELEVANT = "nothing relevant"
    NO_ROOM = "no room"
    TOO_SLOW = "too slow"


_REMEDIES = {
    Limit.WINDOW: "lower `--reserve`, raise `--window` if the reader takes more, or shorten the question",
    Limit.MEMORY: "free memory, give more with `--memory`, or choose a smaller reader",
    Limit.LATENCY: "allow more time with `--latency`, or choose a faster reader",
    Limit.EFFECTIVE: "choose a reader that uses a longer context well, or shorten the question",
    Limit.BUDGET: "raise `--budget`",
}


def open_ledger(
    reader: ReaderModel,
    frame: PromptFrame,
    *,
    limits: Sequence[LedgerTerm] = (),
    reserve: int | None = None,
    budget: int | None = None,
) -> Ledger:
    """The ledger before packing: `passage_budget` is what the smallest limit leaves after the charges.

    `limits` are further upper bounds on the prompt, in tokens of the reader and with the reserve already
    taken off where it applies (memory), named by `Limit`. `budget` caps the passages directly. `reserve`
    defaults to the reader's own. The charges add up to exactly what the frame counts without a passage,
    plus what the reader adds to every prompt, plus the safety margin if there is one.

    Raises `UsageError` for a negative reserve or a budget below 1, `BudgetError` when nothing is left.
    """
    return checked(draft_ledger(reader, frame, limits=limits, reserve=reserve, budget=budget))


def draft_ledger(
    reader: ReaderModel,
    frame: PromptFrame,
    *,
    limits: Sequence[LedgerTerm] = (),
    reserve: int | None = None,
    budget: int | None = None,
) -> Ledger:
    """Like `open_ledger`, for looking at the numbers: `passage_budget` may be 0 or less."""
    kept = reader.reserve if reserve is None else reserve
    if kept < 0:
        raise UsageError(f"the reserve is {kept:,} tokens", hint="give `--reserve` 0 or more")
    if budget is not None and budget < 1:
        raise UsageError(f"the budget is {budget:,} tokens", hint="give `--budget` at least 1")
    bounds = [_window_limit(reader, kept), *limits]
    charges = _frame_charges(reader, frame)
    if not reader.counter_is_own:
        charges.append(_safety_margin(min(bound.tokens for bound in bounds)))
    charged = sum(charge.tokens for charge in charges)
    if budget is not None:
        reason = f"passages capped at {budget:,}, after {charged:,} of charges"
        bounds.append(LedgerTerm(Limit.BUDGET, charged + budget, reason))
    return Ledger(
        reader=reader.name,
        limits=tuple(bounds),
        charges=tuple(charges),
        reserve=kept,
        passage_budget=min(bound.tokens for bound in bounds) - charged,
        passage_tokens=0,
        notes=_notes(reader),
    )


def close_ledger(ledger: Ledger, packing: Packing) -> Ledger:
    """The ledger after packing: what was spent on passages, and every decision."""
    return replace(ledger, passage_tokens=packing.tokens, decisions=packing.decisions)


def outcome(ledger: Ledger) -> Outcome:
    """What a closed ledger came to, to choose the message and the exit code by."""
    if any(decision.kept for decision in ledger.decisions):
        return Outcome.PACKED
    if all(decision.reason == DropReason.NOT_WORTH_ITS_TOKENS for decision in ledger.decisions):
        return Outcome.NOTHING_RELEVANT
    return Outcome.TOO_SLOW if ledger.binding.name == Limit.LATENCY else Outcome.NO_ROOM


def explain(ledger: Ledger) -> tuple[str, str]:
    """A line that says what a closed ledger came to, with its numbers, and a hint (empty when packed)."""
    binding = ledger.binding
    match outcome(ledger):
        case Outcome.PACKED:
            kept = sum(decision.kept for decision in ledger.decisions)
            spent = f"{ledger.passage_tokens:,} of {ledger.passage_budget:,} tokens"
            return f"{kept} of {len(ledger.decisions)} hits packed into {spent}", ""
        case Outcome.NOTHING_RELEVANT:
            return "nothing relevant was found", "ask in other words, or ingest what should answer it"
        case Outcome.TOO_SLOW | Outcome.NO_ROOM as cause:
            left = f"the {binding.name} ({binding.reason}) leaves {ledger.passage_budget:,} tokens"
            return f"{cause}: {left}, less than the shortest sentence found", _remedy(binding)


def _window_limit(reader: ReaderModel, reserve: int) -> LedgerTerm:
    tokens = reader.window - reserve
    whose = f", {reader.window_reason}" if reader.window_reason else ""
    reason = f"{reader.window:,} of {reader.name}{whose} - {reserve:,} reserve"
    return LedgerTerm(Limit.WINDOW, tokens, reason)


def _frame_charges(reader: ReaderModel, frame: PromptFrame) -> list[LedgerTerm]:
    """The parts under their names, then the template: what the frame counts beyond its parts."""
    parts = frame.parts
    whole, *counts = reader.counter.count_many([frame.render([]), *(part.text for part in parts)])
    charges = [
        LedgerTerm(part.name, count, part.reason) for part, count in zip(parts, counts, strict=True) if count
    ]
    template = whole - sum(counts)
    if template:
        charges.append(LedgerTerm("template", template, "what joins the parts"))
    if reader.overhead:
        charges.append(LedgerTerm("reader overhead", reader.overhead, "special tokens and roles"))
    return charges


def _safety_margin(prompt: int) -> LedgerTerm:
    reason = f"{SAFETY_MARGIN:.0%} of the prompt: the reader's own tokenizer is unknown"
    return LedgerTerm("safety margin", math.ceil(max(prompt, 0) * SAFETY_MARGIN), reason)


def _notes(reader: ReaderModel) -> tuple[str, ...]:
    if reader.generates:
        return reader.notes
    return ("no language model runs, so neither memory nor latency limits the prompt",)


def checked(ledger: Ledger) -> Ledger:
    """The ledger, or BudgetError saying which limit leaves nothing for passages and what to do about it."""
    if ledger.passage_budget > 0:
        return ledger
    binding = ledger.binding
    charged = sum(charge.tokens for charge in ledger.charges)
    needs = f"the question and its frame need {charged:,} tokens"
    cause = "too slow" if binding.name == Limit.LATENCY else "no room"
    raise BudgetError(
        f"{cause}: {needs}, but the {binding.name} allows {max(binding.tokens, 0):,} ({binding.reason})",
        hint=_remedy(binding),
    )


def _remedy(binding: LedgerTerm) -> str:
    return _REMEDIES.get(Limit(binding.name), "raise the limit")
