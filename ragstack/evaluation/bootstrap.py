"""How sure a mean is: percentile bootstrap intervals over questions, for one run or for two runs in pairs.

Resampling is by question (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13) and
seeded, so that the same values always give the same interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95

_BLOCK_VALUES = 2_000_000
"""Resampled values held at once: 16 MB of indices whatever the number of questions."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the bounds within which it lies with the confidence that was asked for."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether all of it lies on one side of zero: a difference that is not by chance."""
        return self.low > 0 or self.high < 0


def bootstrap_mean(
    values: Sequence[float], *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> Interval:
    """The mean of one value a question, with its percentile interval. ValueError if there is no value."""
    import numpy as np

    if not values:
        raise ValueError("there is no value to take a mean of")
    sample = np.asarray(values, dtype=np.float64)
    means = np.concatenate(list(_resampled_means(sample, resamples, seed)))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(sample.mean()), float(low), float(high))


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """By how much the mean of `first` is above that of `second`; both have the same questions in one order.

    ValueError if they do not have the same number of values, or none.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    return bootstrap_mean(differences, resamples=resamples, confidence=confidence, seed=seed)


def _resampled_means(sample: NDArray[np.float64], resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """`resamples` means of samples drawn with replacement, in blocks of bounded memory."""
    import numpy as np

    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK_VALUES // len(sample))
    for done in range(0, resamples, block):
        drawn = generator.integers(len(sample), size=(min(block, resamples - done), len(sample)))
        yield sample[drawn].mean(axis=1)
