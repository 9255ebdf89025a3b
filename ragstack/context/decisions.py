"""Says of every hit what became of it: kept at how many tokens, or dropped and why.

The plan is retold in the order of the hits, so that each is charged for what it adds to those before it.
Nothing is decided here that the plan has not decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragstack.context.planning import Plan, Planner
from ragstack.context.selection import Selection
from ragstack.records import Decision, DropReason, Hit


@dataclass(frozen=True, slots=True)
class Placement:
    """A passage of the packing: its segments, its number, and its tokens as they were counted."""

    run: range
    number: int
    tokens: int


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What became of one distinct text."""

    tokens: int
    kept: bool
    reason: str


def decide(
    planner: Planner, plan: Plan, placements: Sequence[Placement], tokens: int
) -> tuple[Decision, ...]:
    """The decision on every hit, in the order of the hits.

    The marginal tokens of those kept add up to `tokens`, the exact count of all passages. A dropped hit's
    are what it would have added.
    """
    retold = Selection(planner.problem)
    added = _added_tokens(retold, plan)
    _settle(added, plan, planner, placements, tokens)
    decisions: dict[int, Decision] = {}
    for index, distinct in enumerate(planner.distinct):
        verdict = _verdict(index, added, retold, plan, placements)
        first, *others = distinct.positions
        decisions[first] = _decision(distinct.hit, verdict)
        for position, repeat in zip(others, distinct.repeats, strict=True):
            decisions[position] = _decision(repeat, _repeated(verdict))
    return tuple(decisions[position] for position in sorted(decisions))


def _added_tokens(retold: Selection, plan: Plan) -> dict[int, int]:
    """For every window or part that brings text not brought before it: the tokens that this adds."""
    added: dict[int, int] = {}
    for index, window in enumerate(retold.problem.windows):
        taken = plan.parts.get(index, window)
        if plan.segments.issuperset(taken) and not retold.covers(taken):
            added[index] = retold.addition(taken).tokens
            retold.add(taken)
    return added


def _settle(
    added: dict[int, int], plan: Plan, planner: Planner, placements: Sequence[Placement], tokens: int
) -> None:
    """Puts the difference between planned and counted tokens on the first hit of each passage."""
    remainder = tokens - sum(placement.tokens for placement in placements)
    for placement in placements:
        first = _first_in(placement.run, added, plan, planner.problem.windows)
        added[first] += placement.tokens - planner.planned_tokens(placement.run) + remainder
        remainder = 0


def _first_in(run: range, added: dict[int, int], plan: Plan, windows: Sequence[range]) -> int:
    return next(index for index in added if _meet(plan.parts.get(index, windows[index]), run))


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _verdict(
    index: int, added: dict[int, int], retold: Selection, plan: Plan, placements: Sequence[Placement]
) -> _Verdict:
    windows = retold.problem.windows
    window = plan.parts.get(index, windows[index])
    if index in added:
        placement = next(placement for placement in placements if _meet(window, placement.run))
        if not plan.segments.issuperset(windows[index]):
            trimmed = _trimmed(retold, plan, windows[index])
            return _Verdict(added[index], True, f"{trimmed}, in [{placement.number}]")
        first = _first_in(placement.run, added, plan, windows) == index
        return _Verdict(added[index], True, f"{'begins' if first else 'extends'} [{placement.number}]")
    if retold.covers(window):
        return _Verdict(0, False, DropReason.ALREADY_COVERED)
    if retold.repeats(windows[index]):
        return _Verdict(0, False, DropReason.NEAR_DUPLICATE)
    addition = retold.addition(window)
    reason = DropReason.NO_ROOM if retold.pays(addition) else DropReason.NOT_WORTH_ITS_TOKENS
    return _Verdict(addition.tokens, False, reason)


def _trimmed(retold: Selection, plan: Plan, window: range) -> str:
    """How much of a window is in the prompt, whichever hit brought it there."""
    tokens = retold.problem.tokens
    held = sum(tokens[number] for number in window if number in plan.segments)
    whole = sum(tokens[number] for number in window)
    return f"trimmed to {held:,} of {whole:,} tokens" if held < whole else "trimmed of what has no tokens"


def _repeated(verdict: _Verdict) -> _Verdict:
    """A copy shares the fate of the text that stands for it, but is never charged for it."""
    if verdict.kept or verdict.reason == DropReason.ALREADY_COVERED:
        return _Verdict(0, False, DropReason.DUPLICATE)
    return verdict


def _decision(hit: Hit, verdict: _Verdict) -> Decision:
    chunk = hit.chunk
    return Decision(
        chunk_id=chunk.chunk_id,
        path=chunk.path,
        start=chunk.start,
        end=chunk.end,
        score=hit.worth,
        marginal_tokens=verdict.tokens,
        kept=verdict.kept,
        reason=str(verdict.reason),
        beside=hit.beside,
    )
