"""Predicts a model's times from what was measured of it before, at the same endpoint.

The measurements come from the history, the formula from `context.latency`. Nothing is timed here.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ragstack.context.architectures.description import Architecture
from ragstack.context.latency import CalibratedPrefill, TimedPrompt, calibrate_prefill

FEWEST = 3
"""Measurements without which there is no fit: the first of a session may have loaded the model."""

SPREAD = 1.5
"""The longer half of the prompts must be so much longer than the shorter to tell a slope from noise."""


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """One measured answer: tokens of its prompt, seconds to the first token, tokens a second after it."""

    tokens: int
    seconds: float
    tokens_per_second: float | None = None


def rate_from_timings(timed: Sequence[TimedAnswer]) -> float | None:
    """The median of the tokens a second; None for too few measurements."""
    rates = [each.tokens_per_second for each in timed if each.tokens_per_second]
    return statistics.median(rates) if len(rates) >= FEWEST else None


def prefill_from_timings(
    timed: Sequence[TimedAnswer], architecture: Architecture | None = None
) -> CalibratedPrefill | None:
    """The time to the first token by the prompts measured; None for too few of them.

    The medians of the shorter and of the longer half give the two points of `calibrate_prefill`. Where they
    lie too close together, or the longer prompts were not slower (a cache, another load), the median seconds
    a token give a straight line through nothing.
    """
    usable = sorted(
        (each for each in timed if each.tokens > 0 and each.seconds > 0), key=lambda each: each.tokens
    )
    if len(usable) < FEWEST:
        return None
    half = len(usable) // 2
    short, long = _median(usable[:half]), _median(usable[half:])
    reason = f"{len(usable)} earlier answers of this model"
    if long.tokens >= SPREAD * short.tokens and long.seconds > short.seconds:
        fitted = calibrate_prefill(short, long, architecture)
        return CalibratedPrefill(fitted.constant, fitted.linear, fitted.quadratic, reason)
    rate = statistics.median(each.seconds / each.tokens for each in usable)
    return CalibratedPrefill(0.0, rate, 0.0, reason)


def _median(timed: Sequence[TimedAnswer]) -> TimedPrompt:
    tokens = statistics.median(each.tokens for each in timed)
    return TimedPrompt(round(tokens), statistics.median(each.seconds for each in timed))
