from __future__ import annotations

import pytest

from ragstack.answering.calibration import FEWEST, TimedAnswer, prefill_from_timings, rate_from_timings


def timed(*pairs):
    return [TimedAnswer(tokens, seconds) for tokens, seconds in pairs]


def test_too_few_measurements_are_no_calibration():
    assert prefill_from_timings(timed(*[(100, 1.0)] * (FEWEST - 1))) is None


def test_a_line_through_measurements_is_found_again():
    fitted = prefill_from_timings(timed(*[(n, 0.002 * n) for n in (100, 200, 400, 800, 1_600)]))
    assert fitted.seconds(1_000) == pytest.approx(2.0, rel=0.01)
    assert "5 earlier answers" in fitted.reason


def test_one_slow_first_answer_changes_little():
    measured = timed((100, 60.0), *[(n, 0.002 * n) for n in (110, 120, 900, 1_000, 1_100)])
    assert prefill_from_timings(measured).seconds(1_000) == pytest.approx(2.0, rel=0.1)


def test_prompts_of_one_length_give_a_rate():
    fitted = prefill_from_timings(timed((500, 1.0), (510, 1.02), (505, 1.01)))
    assert fitted.seconds(1_000) == pytest.approx(2.0, rel=0.01)


def test_longer_prompts_that_were_not_slower_give_a_rate_too():
    fitted = prefill_from_timings(timed((100, 1.0), (100, 1.0), (1_000, 0.5), (1_000, 0.5)))
    assert fitted.seconds(0) == 0
    assert fitted.seconds(200) > fitted.seconds(100)


def test_a_cost_of_the_request_beside_a_slope_is_found_again():
    fitted = prefill_from_timings(timed(*[(n, 0.5 + 0.0001 * n) for n in (100, 200, 400, 800, 1_600)]))
    assert fitted.constant == pytest.approx(0.5, rel=0.01)
    assert fitted.seconds(3_000) == pytest.approx(0.8, rel=0.01)


def test_the_rate_of_writing_is_the_median_of_enough_measurements():
    answers = [TimedAnswer(100, 1.0, rate) for rate in (20.0, 22.0, 90.0)]
    assert rate_from_timings(answers) == 22.0
    assert rate_from_timings(answers[:2]) is None
    assert rate_from_timings([TimedAnswer(100, 1.0)] * 5) is None
