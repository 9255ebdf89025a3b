from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.answering.claims import claims, without_markers


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("Ann did [2].", [(2,)]),
        ("Ann did. [2]", [(2,)]),
        ("Ann did.[2][3] Ben slept. [1]", [(2, 3), (1,)]),
        ("Ann did [1, 3].", [(1, 3)]),
        ("Ann did [1-3].", [(1, 2, 3)]),
        ("Ann did [Source 2].", [(2,)]),
        ("Ann did 【2】.", [(2,)]),
        ("Ann did in [2023].", [()]),
        ("Ann did [12] and [12].", [(12,)]),
        ("Nothing here.", [()]),
        ("", []),
    ],
)
def test_numbers_belong_to_the_sentence_before_them(answer, numbers):
    assert [claim.numbers for claim in claims(answer)] == numbers


def test_a_claim_is_its_sentence_without_the_numbers():
    answer = "Ann fed the cat [1]. Ben slept. [2]"
    first, second = claims(answer)
    assert (first.text, second.text) == ("Ann fed the cat.", "Ben slept.")
    assert answer[second.start : second.end] == "Ben slept. [2]"


def test_quotations_of_some_length_are_found():
    (claim,) = claims('He said "the cat is fed at noon" and “never twice a day”, in "haste" [1].')
    assert claim.quotes == ("the cat is fed at noon", "never twice a day")


def test_a_range_that_is_too_long_gives_its_ends():
    assert claims("All of it [1-900].")[0].numbers == (1, 900)


def test_numbers_go_and_the_text_stays():
    assert without_markers("Ann did [1]. Ben [2, 3] slept [2023].") == "Ann did. Ben slept [2023]."


@given(st.text(max_size=200))
def test_claims_are_apart_in_order_and_inside_any_text(answer):
    found = claims(answer)
    assert all(0 <= claim.start < claim.end <= len(answer) for claim in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
