"""What is expected of a prompt before it is sent, and what is not said because nobody could know it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragstack.asking.planning import SHORTEST_COMPUTED_TOKEN, PlannedModel
from ragstack.context.counting import EstimatedCounter
from ragstack.context.latency import CalibratedPrefill, RooflinePrefill, Speed
from ragstack.context.reader_plans import plan_reader
from ragstack.records import Ledger

LEDGER = Ledger("m", (), (), reserve=1_000, passage_budget=2_000, passage_tokens=0)


def planned(flops, bandwidth, rate=None):
    """Llama-3.1-8B on a machine of this speed."""
    plan = plan_reader("llama3.1:8b", memory="64GB", tells_time=False)
    speed = Speed(flops, bandwidth, "a made up machine")
    prefill = RooflinePrefill(plan.architecture, plan.deployment, speed)
    plan = replace(plan, speed=speed, prefill=prefill)
    return PlannedModel(plan.reader(EstimatedCounter()), plan, rate=rate)


def test_times_that_the_model_decides_are_computed():
    expected = planned(1e13, 1e11).predict(LEDGER, 1_000)
    assert expected.seconds_to_first_token == pytest.approx(2.0, rel=0.3)
    assert expected.tokens_per_second == pytest.approx(15, rel=0.3)
    assert expected.source == "a made up machine"


def test_times_too_short_for_the_peaks_of_the_machine_are_not_computed_and_that_is_said():
    expected = planned(1e18, 1e16).predict(LEDGER, 1_000)
    assert expected.seconds_to_first_token is None
    assert expected.tokens_per_second is None
    assert expected.prompt_tokens == 1_000
    assert expected.source.startswith("a made up machine, which says nothing of less than 0.1 s")


def test_what_was_measured_is_told_however_short_it_is():
    model = planned(1e18, 1e16, rate=2 / SHORTEST_COMPUTED_TOKEN)
    measured = CalibratedPrefill(0.05, 0.0, 0.0, "3 earlier answers of this model")
    expected = replace(model, plan=replace(model.plan, prefill=measured)).predict(LEDGER, 1_000)
    assert (expected.seconds_to_first_token, expected.tokens_per_second) == (0.05, 1_000)
    assert expected.source == "3 earlier answers of this model"
