"""Chooses which windows to pay for: the value of the text they bring against the tokens they add.

A selection is worth  sum of the values of its segments - price x its tokens,  and its tokens are those of
its segments plus one frame for every passage, that is for every run of touching segments. Text that two
windows share is paid once and valued once; text that stands in two places is valued once and paid wherever it
is taken. This is a knapsack problem with shared items; it is solved greedily by value per token and improved
by swaps, and nothing is known here of texts, hits or tokenizers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, combinations

SWAP_LIMIT = 12
"""Greedy choice loses at most about one window, so swaps are tried only while no more than these fit."""

PAIR_LIMIT = 4
"""Starting from each pair of windows is tried only while no more than these fit."""

NEWCOMERS = 8
"""Windows not taken that swaps are tried with."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What there is to choose from: windows as runs of segment numbers, touching when consecutive.

    `values` and `tokens` are per segment; `frames` is what it costs to begin a passage at a segment; `price`
    is the value that a token must bring; `budget` is the most tokens that may be spent. Of the segments whose
    text stands in several places `copies` says which one stands for the text; they have the same value.
    """

    windows: tuple[range, ...]
    values: Mapping[int, float]
    tokens: Mapping[int, int]
    frames: Mapping[int, int]
    price: float
    budget: int
    copies: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Addition:
    """What a window would add to a selection."""

    tokens: int
    value: float

    @property
    def density(self) -> float:
        """Value per token; text that costs nothing comes first."""
        return self.value / self.tokens if self.tokens > 0 else float("inf")


@dataclass(slots=True)
class Selection:
    """The segments taken so far, what they cost, and in which order their windows came.

    `known` are the segments that stand for the texts taken.
    """

    problem: Problem
    segments: set[int] = field(default_factory=set)
    order: list[int] = field(default_factory=list)
    tokens: int = 0
    value: float = 0.0
    known: set[int] = field(default_factory=set)

    @property
    def objective(self) -> float:
        """Value less what the tokens are worth."""
        return self.value - self.problem.price * self.tokens

    def addition(self, window: range) -> Addition:
        """What these segments would add: their own tokens, and a frame more or less.

        A run pays one frame, where it begins. So a new beginning costs a frame, and a passage that now
        continues another one gives its frame back.
        """
        tokens, value, taken = 0, 0.0, self.segments
        met: set[int] = set()
        for number in window:
            if number in taken:
                continue
            tokens += self.problem.tokens[number]
            standing = self.problem.copies.get(number, number)
            if standing not in self.known and standing not in met:
                value += self.problem.values[number]
                met.add(standing)
            if number == window.start and number - 1 not in taken:
                tokens += self.problem.frames[number]
            if number + 1 in taken:
                tokens -= self.problem.frames[number + 1]
        return Addition(tokens, value)

    def add(self, window: range) -> None:
        """Takes these segments."""
        addition = self.addition(window)
        self.segments.update(window)
        self.known.update(self.problem.copies.get(number, number) for number in window)
        self.tokens += addition.tokens
        self.value += addition.value

    def covers(self, window: range) -> bool:
        """Whether all of these segments are taken."""
        return all(number in self.segments for number in window)

    def repeats(self, window: range) -> bool:
        """Whether all text of these segments is taken, here or from another place."""
        return all(self.problem.copies.get(number, number) in self.known for number in window)

    def fits(self, addition: Addition) -> bool:
        """Whether there is room for it."""
        return self.tokens + addition.tokens <= self.problem.budget

    def pays(self, addition: Addition) -> bool:
        """Whether it is worth its tokens."""
        return addition.value > self.problem.price * addition.tokens


def select(problem: Problem) -> Selection:
    """A good selection: greedy, then improved by swaps while few windows fit."""
    best = fill(Selection(problem), range(len(problem.windows)))
    while len(best.order) <= SWAP_LIMIT:
        better = max(_neighbours(best), key=lambda selection: selection.objective, default=best)
        if better.objective <= best.objective + 1e-12:
            break
        best = better
    return best


def fill(selection: Selection, candidates: Iterable[int]) -> Selection:
    """Takes, while any is worth its tokens and fits, the candidate with the highest value per token.

    A window that does not fit is passed over, not a stop; of equals the earlier comes first.
    """
    windows = selection.problem.windows
    additions = {index: selection.addition(windows[index]) for index in candidates}
    while True:
        open_ones = [
            (addition.density, -index)
            for index, addition in additions.items()
            if addition.value > 0 and selection.fits(addition) and selection.pays(addition)
        ]
        if not open_ones:
            return selection
        taken = -max(open_ones)[1]
        selection.add(windows[taken])
        selection.order.append(taken)
        for index in _affected(selection.problem, additions, windows[taken]):
            additions[index] = selection.addition(windows[index])


def _affected(problem: Problem, indices: Iterable[int], window: range) -> Iterator[int]:
    """The windows to which taking this one makes a difference: those that overlap, touch or repeat it."""
    copies, windows = problem.copies, problem.windows
    taken = {copies[number] for number in window if number in copies}
    for index in indices:
        touching = windows[index].start <= window.stop and window.start <= windows[index].stop
        if touching or (taken and any(copies.get(number) in taken for number in windows[index])):
            yield index


def _neighbours(selection: Selection) -> Iterator[Selection]:
    """What comes of starting from one or two windows, or of leaving one out, with or without another in."""
    left_out = _best_left_out(selection)
    pool = [*selection.order, *left_out]
    sizes = (1, 2) if len(selection.order) <= PAIR_LIMIT else (1,)
    for seeds in chain.from_iterable(combinations(pool, size) for size in sizes):
        yield _refilled(selection.problem, seeds, pool)
    for index in selection.order:
        kept = [other for other in selection.order if other != index]
        others = [other for other in pool if other != index]
        yield _refilled(selection.problem, kept, others)
        for newcomer in left_out:
            yield _refilled(selection.problem, [newcomer, *kept], others)


def _best_left_out(selection: Selection) -> list[int]:
    """The most valuable windows not taken whose text fits, as many as are worth trying.

    Windows inside a taken one are among them: the smaller one may leave room for another. So are those that
    fit only without a header, because they may continue a passage.
    """
    problem = selection.problem
    values: dict[range, tuple[float, int]] = {}
    for index, window in enumerate(problem.windows):
        if index in selection.order or window in values:
            continue
        if sum(problem.tokens[number] for number in window) <= problem.budget:
            values[window] = sum(problem.values[number] for number in window), -index
    return [-index for _, index in sorted(values.values(), reverse=True)[:NEWCOMERS]]


def _refilled(problem: Problem, seeds: Iterable[int], candidates: Iterable[int]) -> Selection:
    """The selection that begins with the seeds, as far as they fit, and is filled from the candidates."""
    selection = Selection(problem)
    for index in seeds:
        if selection.fits(selection.addition(problem.windows[index])):
            selection.add(problem.windows[index])
            selection.order.append(index)
    return fill(selection, candidates)
