"""Arithmetic on sets of spans, held against sets of characters."""

from itertools import pairwise

from evaluation_data import characters_of, span_lists, spans
from hypothesis import given

from ragstack.evaluation.spans import merged, overlap, remainder, shared_length, total_length


@given(span_lists)
def test_merged_spans_hold_the_same_characters_once_and_do_not_touch(many):
    union = merged(many)

    assert characters_of(union) == characters_of(many)
    assert total_length(union) == len(characters_of(many))
    assert all(
        first.document != second.document or first.end < second.start for first, second in pairwise(union)
    )


@given(span_lists, span_lists)
def test_shared_length_counts_the_characters_in_both_sets(first, second):
    assert shared_length(first, second) == len(characters_of(first) & characters_of(second))


@given(spans, spans)
def test_overlap_of_two_spans_is_what_both_hold(first, second):
    assert overlap(first, second) == len(characters_of([first]) & characters_of([second]))


@given(spans, span_lists)
def test_remainder_is_what_no_other_span_holds_in_order(span, taken):
    pieces = remainder(span, taken)

    assert characters_of(pieces) == characters_of([span]) - characters_of(taken)
    assert pieces == sorted(pieces)
    assert total_length(pieces) == len(characters_of(pieces))
