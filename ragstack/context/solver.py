"""The largest prompt that fits: into memory by the upper estimate, into a time to the first token.

Both answers are maximal: this many tokens fit, one step of the engine's granularity more does not. The
solver computes limits; the ledger decides what they are charged with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ragstack.context.architectures.description import Architecture
from ragstack.context.complexity import MemoryEstimate, estimate_memory
from ragstack.context.deployment import Deployment
from ragstack.context.effective import effective_length
from ragstack.records import LedgerTerm

# Where a search ends when no window bounds it: no model is trained on more.
LARGEST_WINDOW = 16 * 2**20


class PrefillTime(Protocol):
    """Seconds to the first token by the length of the prompt; it must not fall with it."""

    @property
    def reason(self) -> str:
        """Where the seconds come from."""
        ...

    def seconds(self, tokens: int) -> float:
        """Seconds to the first token of a prompt of `tokens` tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Fit:
    """The largest number of tokens that a limit allows.

    `tokens` is 0 when not even one step fits. `at_ceiling` is true when the search ended at the window
    instead of the limit, so that the limit does not bind.
    """

    tokens: int
    granularity: int
    at_ceiling: bool
    reason: str


def largest_fit(fits: Callable[[int], bool], ceiling: int, granularity: int = 1) -> tuple[int, bool]:
    """The largest multiple of `granularity` that `fits`, or `ceiling` with True if that itself fits.

    `fits` must be monotone: false for every larger number once it is false. It is called about
    log2(ceiling / granularity) times.
    """
    if fits(ceiling):
        return ceiling, True
    low, high = 0, -(-ceiling // granularity)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle * granularity):
            low = middle
        else:
            high = middle
    return low * granularity, False


def largest_within_memory(
    architecture: Architecture,
    deployment: Deployment,
    memory: int,
    *,
    ceiling: int | None = None,
) -> Fit:
    """The largest window, prompt and answer together, whose upper estimate is at most `memory` bytes.

    Bounded by `ceiling`, else by the architecture's own window. Below that bound the result is a multiple of
    the engine's granularity: 256 for llama.cpp, 16 for vLLM, 1 for transformers.
    """
    limit = ceiling or architecture.window or LARGEST_WINDOW

    def fits(tokens: int) -> bool:
        return estimate_memory(architecture, deployment, tokens).upper.total <= memory

    tokens, at_ceiling = largest_fit(fits, limit, deployment.granularity)
    reason = _memory_reason(
        estimate_memory(architecture, deployment, tokens or deployment.granularity), memory
    )
    return Fit(tokens, deployment.granularity, at_ceiling, reason)


def _memory_reason(estimate: MemoryEstimate, memory: int) -> str:
    upper = estimate.upper
    rest = upper.total - upper.weights - upper.cache
    parts = f"{_gib(upper.weights)} weights, {_gib(upper.cache)} cache, {_gib(rest)} buffers and overhead"
    return f"{parts} of {_gib(memory)} at {estimate.tokens:,} tokens"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


def largest_within_latency(
    prefill: PrefillTime, seconds: float, *, ceiling: int | None = None, granularity: int = 1
) -> Fit:
    """The longest prompt whose first token comes within `seconds`."""
    tokens, at_ceiling = largest_fit(
        lambda count: prefill.seconds(count) <= seconds, ceiling or LARGEST_WINDOW, granularity
    )
    reason = f"first token within {seconds:g} s by {prefill.reason}"
    return Fit(tokens, granularity, at_ceiling, reason)


def prompt_limits(
    architecture: Architecture,
    deployment: Deployment,
    *,
    reserve: int = 0,
    memory: int | None = None,
    prefill: PrefillTime | None = None,
    seconds: float | None = None,
    effective: bool = False,
) -> Sequence[LedgerTerm]:
    """The limits on a prompt beside the window, as terms for the ledger: memory, latency, effective length.

    Only what is asked for is computed: memory with `memory` bytes, latency with `prefill` and `seconds`,
    the published effective length with `effective`. `reserve` tokens, kept for the answer, are taken off
    the memory limit, because the answer needs cache too; they cost no time before the first token.
    """
    terms = []
    ceiling = architecture.window or LARGEST_WINDOW
    if memory is not None:
        fit = largest_within_memory(architecture, deployment, memory, ceiling=ceiling)
        left = max(0, fit.tokens - reserve)
        terms.append(LedgerTerm("memory", left, f"{fit.reason} - {reserve:,} reserve"))
    if prefill is not None and seconds is not None:
        fit = largest_within_latency(prefill, seconds, ceiling=ceiling)
        terms.append(LedgerTerm("latency", fit.tokens, fit.reason))
    known = effective_length(architecture.name) if effective else None
    if known is not None:
        terms.append(LedgerTerm("effective length", known.tokens, known.reason))
    return tuple(terms)
