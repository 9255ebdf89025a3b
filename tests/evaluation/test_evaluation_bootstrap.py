"""Intervals of means and of paired differences."""

import random

import pytest

from ragstack.evaluation.bootstrap import Interval, bootstrap_mean, paired_difference


def test_equal_values_have_an_interval_without_width():
    interval = bootstrap_mean([0.25] * 50)

    assert (interval.mean, interval.low, interval.high) == (0.25, 0.25, 0.25)


def test_the_interval_holds_the_mean_and_is_about_as_wide_as_theory_says():
    generator = random.Random(3)
    values = [generator.gauss(0.5, 0.1) for _ in range(400)]

    interval = bootstrap_mean(values)

    assert interval.low < interval.mean < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.1 / 400**0.5, rel=0.15)


def test_the_same_values_always_give_the_same_interval():
    values = [0.0, 1.0, 1.0, 0.0, 0.5]

    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, resamples=50, seed=1) != bootstrap_mean(values, resamples=50, seed=2)


def test_pairing_finds_a_small_gain_that_varies_less_than_the_questions():
    generator = random.Random(5)
    base = [generator.random() for _ in range(200)]
    better = [value + 0.02 + generator.gauss(0, 0.01) for value in base]

    difference = paired_difference(better, base)

    assert difference.excludes_zero
    assert difference.mean == pytest.approx(0.02, abs=0.003)
    assert bootstrap_mean(better).low < bootstrap_mean(base).high


def test_a_difference_around_zero_does_not_exclude_it():
    assert not paired_difference([0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]).excludes_zero
    assert Interval(-0.2, -0.3, -0.1).excludes_zero


def test_runs_over_different_questions_are_not_compared():
    with pytest.raises(ValueError):
        paired_difference([1.0, 2.0], [1.0])


def test_no_value_has_no_mean():
    with pytest.raises(ValueError, match="no value"):
        bootstrap_mean([])


def test_many_values_are_resampled_in_blocks():
    interval = bootstrap_mean([float(number % 2) for number in range(250_000)], resamples=20)

    assert interval.low < 0.5 < interval.high
