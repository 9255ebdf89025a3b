"""Windows over seams that are drawn directly, so that every arrangement of units comes up."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.chunking.seams import Seams
from ragstack.chunking.sliding import WindowLimits, slide
from ragstack.chunking.structure import Level

LEVELS = [Level.ANYWHERE] + [Level.WORD] * 9 + [Level.CLAUSE] * 2 + [Level.WEAK, Level.SENTENCE, Level.BLOCK]


@dataclass(frozen=True)
class Case:
    seams: Seams
    levels: list[Level]
    limits: WindowLimits

    def units(self) -> list[tuple[int, int]]:
        """Sentences and whatever else ends where a window may end well, as pairs of seams."""
        borders = [0, *(seam for seam in range(1, self.seams.count) if self.levels[seam] >= Level.WEAK)]
        return list(pairwise([*borders, self.seams.count]))

    def fits(self, first: int, last: int) -> bool:
        return (
            self.seams.tokens_between(first, last) <= self.limits.tokens
            and self.seams.characters_between(first, last) <= self.limits.characters
        )


def seams_of(starts: list[int], ends: list[int], tokens: list[int], levels: list[Level]) -> Seams:
    """Seams of these levels; a weak end is a good beginning, as behind a heading."""
    ending = np.array(levels, dtype=np.int8)
    beginning = np.where(ending == Level.WEAK, Level.SENTENCE, ending)
    none = np.zeros(0, dtype=np.int64).data
    return Seams(
        starts=np.array(starts, dtype=np.int64).data,
        ends=np.array(ends, dtype=np.int64).data,
        tokens=np.concatenate(([0], np.cumsum(tokens, dtype=np.int64))).data,
        beginnings=tuple(np.flatnonzero(beginning >= level).data for level in Level),
        endings=tuple(np.flatnonzero(ending >= level).data for level in Level),
        ragged=none,
        estimates=none,
        is_exact=True,
        is_plain=True,
    )


def make_case(seed: int, size: int, overlap: int, characters: int, count: int, longest_gap: int) -> Case:
    """Stretches chosen by a seed: drawing each by itself would take most of the tests' time."""
    chosen = random.Random(seed)
    limits = WindowLimits.for_budget(size, overlap, characters)
    most_tokens, most_characters = limits.grain()
    starts, ends = [], []
    position = 0
    for _ in range(count):
        starts.append(position)
        ends.append(position + chosen.randint(1, min(12, most_characters // 2)))
        position = ends[-1] + chosen.choice([0, 1, 1, longest_gap])
    tokens = [chosen.randint(0, min(4, most_tokens)) for _ in range(count)]
    levels = [Level.BLOCK, *chosen.choices(LEVELS, k=count - 1), Level.BLOCK]
    return Case(seams_of(starts, ends, tokens, levels), levels, limits)


@st.composite
def cases(draw: st.DrawFn, longest_gap: int = 1) -> Case:
    size = draw(st.integers(16, 80))
    return make_case(
        seed=draw(st.integers(0, 99_999)),
        size=size,
        overlap=draw(st.integers(0, size // 2)),
        characters=draw(st.sampled_from([4000, 4000, 320])),
        count=draw(st.integers(1, 150)),
        longest_gap=longest_gap,
    )


def parts_blocks(case: Case, last: int, next_first: int) -> bool:
    """Whether a window ends before a block that has no room beside the overlap, and the next begins there."""
    if next_first != last or case.levels[last] < Level.BLOCK:
        return False
    block_end = next(
        place for place in range(last + 1, len(case.levels)) if case.levels[place] == Level.BLOCK
    )
    reached = [
        place
        for place in range(last)
        if case.seams.tokens_between(place, last) >= case.limits.overlap
        or case.seams.characters_between(place, last) >= case.limits.overlap_characters
    ]
    begins = [place for place in reached if case.levels[place] >= Level.WEAK]
    return not case.fits((begins or reached)[-1], block_end)


def windows_of(case: Case) -> list[tuple[int, int]]:
    return slide(case.seams, 0, case.seams.count, case.limits)


@settings(max_examples=200, deadline=None)
@given(st.one_of(cases(), cases(longest_gap=5000)))
def test_windows_fit_cover_everything_and_get_on(case):
    windows = windows_of(case)
    assert windows[0][0] == 0
    assert windows[-1][1] == case.seams.count
    for first, last in windows:
        assert first < last
        assert case.fits(first, last) or last == first + 1
    for (first, last), (next_first, next_last) in pairwise(windows):
        assert first < next_first <= last < next_last


@settings(max_examples=200, deadline=None)
@given(cases())
def test_windows_share_the_overlap_or_half_the_characters(case):
    for (_, last), (next_first, _) in pairwise(windows_of(case)):
        shared = case.seams.tokens_between(next_first, last)
        enough_characters = case.seams.characters_between(next_first, last) >= case.limits.characters // 2
        assert shared >= case.limits.overlap or enough_characters or parts_blocks(case, last, next_first)


@settings(max_examples=200, deadline=None)
@given(cases())
def test_windows_share_no_whole_unit_more_than_the_overlap_takes(case):
    borders = [first for first, _ in case.units()]
    for (_, last), (next_first, _) in pairwise(windows_of(case)):
        following = min((border for border in borders if border > next_first), default=last)
        if following < last and case.limits.overlap:
            assert case.seams.tokens_between(following, last) < case.limits.overlap


@settings(max_examples=200, deadline=None)
@given(cases())
def test_every_unit_that_fits_is_whole_in_some_window(case):
    windows = windows_of(case)
    for first, last in case.units():
        if case.fits(first, last):
            assert any(start <= first and last <= end for start, end in windows)


def units(*tokens: int) -> Seams:
    """Units of so many one-token words of four letters each."""
    count = sum(tokens)
    starts = [place * 5 for place in range(count)]
    ends = [start + 4 for start in starts]
    borders = {0, *accumulate(tokens)}
    levels = [Level.SENTENCE if place in borders else Level.WORD for place in range(count + 1)]
    return seams_of(starts, ends, [1] * count, levels)


def uniform(unit_tokens: int, count: int) -> Seams:
    return units(*[unit_tokens] * count)


def test_windows_of_equal_sentences_begin_and_end_at_sentences():
    windows = slide(uniform(10, 12), 0, 120, WindowLimits.for_budget(40, 20, 4000))
    assert windows == [(0, 40), (20, 60), (40, 80), (60, 100), (80, 120)]


def test_an_overlap_of_less_than_a_sentence_takes_the_whole_sentence():
    windows = slide(uniform(10, 12), 0, 120, WindowLimits.for_budget(40, 1, 4000))
    assert all(last - next_first == 10 for (_, last), (next_first, _) in pairwise(windows))


def paragraphs(*tokens: int) -> Seams:
    """Paragraphs of so many tokens each, in sentences of ten."""
    seams = units(*(10 for _ in range(sum(tokens) // 10)))
    ends = np.array(list(accumulate(tokens)))
    blocks = np.union1d([0], ends).data
    return replace(
        seams,
        beginnings=(*seams.beginnings[:-1], blocks),
        endings=(*seams.endings[:-1], blocks),
    )


def test_a_paragraph_that_has_no_room_beside_the_overlap_begins_a_window_whole():
    windows = slide(paragraphs(90, 90, 90, 90), 0, 360, WindowLimits.for_budget(100, 20, 4000))
    assert windows[:2] == [(0, 90), (90, 180)]


def test_paragraphs_that_have_room_beside_the_overlap_share_it():
    windows = slide(paragraphs(90, 60, 60), 0, 210, WindowLimits.for_budget(100, 20, 4000))
    assert windows[:2] == [(0, 90), (70, 150)]


def test_without_overlap_windows_touch():
    assert slide(uniform(10, 8), 0, 80, WindowLimits.for_budget(40, 0, 4000)) == [(0, 40), (40, 80)]


def test_a_short_window_saves_a_sentence_that_fits_but_none_that_does_not():
    assert slide(units(5, 38, 30), 0, 73, WindowLimits.for_budget(40, 0, 4000)) == [(0, 5), (5, 43), (43, 73)]
    assert slide(units(5, 100), 0, 105, WindowLimits.for_budget(40, 0, 4000))[0] == (0, 40)


def test_a_sentence_longer_than_a_window_is_parted_at_words():
    windows = slide(uniform(100, 1), 0, 100, WindowLimits.for_budget(40, 10, 4000))
    assert windows[0] == (0, 40)
    assert all(last - next_first == 10 for (_, last), (next_first, _) in pairwise(windows))


def test_the_last_two_windows_are_balanced_instead_of_leaving_a_scrap():
    assert slide(uniform(5, 9), 0, 45, WindowLimits.for_budget(40, 0, 4000)) == [(0, 25), (25, 45)]


def test_characters_limit_windows_where_tokens_do_not():
    windows = slide(uniform(10, 20), 0, 200, WindowLimits.for_budget(100, 20, 99))
    assert all((last - first) * 5 - 1 <= 99 for first, last in windows)
    assert all(last - next_first >= 10 for (_, last), (next_first, _) in pairwise(windows))
