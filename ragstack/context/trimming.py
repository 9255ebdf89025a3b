"""Cuts windows that do not fit down to the sentences that do.

Works on a selection's segments, which end at sentences: a part of a window is a run of its segments. It
comes after the choice of whole windows and spends only what that left over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from ragstack.context.selection import Addition, Selection

Relevance = Callable[[Sequence[str]], Sequence[float]]
"""Says of sentences how much of what the question speaks of each holds, 0 for nothing.

The sentences come hit by hit, in the order of the hits."""


def trim_into(
    selection: Selection, weights: Mapping[int, float], leave: Collection[int] = ()
) -> dict[int, range]:
    """Fills what is left of the budget with parts of the windows left out, and says which part of each.

    Windows come by value per token, without those to `leave`. Of a window the part with the greatest weight
    is taken, where there are `weights` of segments; without them, the part where the window begins, or where
    it continues a passage that is taken already.
    """
    windows = selection.problem.windows
    left_out = [
        index for index in range(len(windows)) if index not in leave and not selection.covers(windows[index])
    ]
    left_out.sort(key=lambda index: -selection.addition(windows[index]).density)
    parts: dict[int, range] = {}
    smallest = min(selection.problem.tokens.values(), default=0)
    for index in left_out:
        if selection.problem.budget - selection.tokens < smallest:
            break
        part = _best_part(selection, windows[index], weights)
        if part is not None:
            selection.add(part)
            parts[index] = part
    return parts


def _best_part(selection: Selection, window: range, weights: Mapping[int, float]) -> range | None:
    if not weights:
        weights = selection.problem.values
        parts = [part for stretch in _untaken(selection, window) for part in _ends(selection, stretch)]
    else:
        parts = [part for stretch in _untaken(selection, window) for part in _inside(selection, stretch)]
    weighed = [(sum(weights[number] for number in part), -part.start, part) for part in parts]
    return max(weighed, key=lambda entry: entry[:2])[2] if weighed else None


def _untaken(selection: Selection, window: range) -> Iterator[range]:
    """The runs of a window's segments whose text is not taken."""
    start = None
    for number in [*window, window.stop]:
        free = number < window.stop and not selection.repeats(range(number, number + 1))
        if free and start is None:
            start = number
        elif not free and start is not None:
            yield range(start, number)
            start = None


def _ends(selection: Selection, stretch: range) -> Iterator[range]:
    """The longest part that fits from where the stretch begins, and to its end if a passage follows there."""
    yield from _longest_of(
        selection, (range(stretch.start, stop) for stop in range(stretch.start + 1, stretch.stop + 1))
    )
    if stretch.stop in selection.segments:
        yield from _longest_of(selection, (range(start, stretch.stop) for start in reversed(stretch)))


def _inside(selection: Selection, stretch: range) -> Iterator[range]:
    """From every segment of the stretch, the longest part that fits."""
    for start in stretch:
        yield from _longest_of(selection, (range(start, stop) for stop in range(start + 1, stretch.stop + 1)))


def _longest_of(selection: Selection, growing: Iterable[range]) -> Iterator[range]:
    """The last of these ever longer parts that fits and pays, if any."""
    longest = None
    for part in growing:
        addition = selection.addition(part)
        if not selection.fits(addition):
            break
        if selection.pays(addition) and not _is_mostly_header(selection, part, addition):
            longest = part
    if longest is not None:
        yield longest


def _is_mostly_header(selection: Selection, part: range, addition: Addition) -> bool:
    """Whether a passage of its own would have more tokens of header than of text."""
    text = sum(selection.problem.tokens[number] for number in part)
    return addition.tokens > 2 * text
