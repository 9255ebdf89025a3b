"""What a reading costs: prompts add up, memory is the longest one's, without a model nothing is said."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ragstack.context.architectures.description import Architecture
from ragstack.context.architectures.lookup import describe_model
from ragstack.context.cache import cache_bytes
from ragstack.context.complexity import estimate_memory
from ragstack.context.deployment import Deployment, deployment_for
from ragstack.context.latency import CalibratedPrefill
from ragstack.context.solver import PrefillTime
from ragstack.records import Reading, ReadingPass
from ragstack.strategies.costs import NO_LAYERS, NO_MODEL, reading_cost

READING = Reading("sliding", tuple(ReadingPass("window", tokens, ()) for tokens in (4_000, 3_000, 500)))
PREFILL = CalibratedPrefill(0.5, 0.001, 0.0, "timed")


@dataclass(frozen=True)
class Model:
    architecture: Architecture
    deployment: Deployment
    prefill: PrefillTime | None = PREFILL


def test_without_a_model_there_is_no_term_for_memory_and_time():
    cost = reading_cost(READING)
    assert (cost.prompts, cost.tokens_read, cost.largest_prompt) == (3, 7_500, 4_000)
    assert (cost.cache_bytes, cost.peak_bytes, cost.peak_bytes_upper, cost.prefill_seconds) == (None,) * 4
    assert cost.reason == NO_MODEL


def test_memory_is_that_of_the_longest_prompt_with_its_answer_and_time_is_the_sum():
    architecture, deployment = describe_model("Llama-3.1-8B"), deployment_for("llama.cpp")
    cost = reading_cost(READING, Model(architecture, deployment), reserve=96)
    memory = estimate_memory(architecture, deployment, 4_096)
    assert cost.cache_bytes == cache_bytes(architecture, deployment, 4_096) == 4_096 * 131_072
    assert (cost.peak_bytes, cost.peak_bytes_upper) == (memory.expected.total, memory.upper.total)
    assert cost.prefill_seconds == sum(PREFILL.seconds(tokens) for tokens in (4_000, 3_000, 500))
    assert "Llama-3.1-8B on llama.cpp; timed" in cost.reason


def test_a_model_whose_speed_is_unknown_has_memory_but_no_time():
    cost = reading_cost(READING, Model(describe_model("Llama-3.1-8B"), deployment_for("vllm"), None))
    assert cost.peak_bytes is not None
    assert cost.prefill_seconds is None


def test_a_model_whose_layers_are_unknown_has_neither():
    unknown = replace(describe_model("Llama-3.1-8B"), layers=())
    cost = reading_cost(READING, Model(unknown, deployment_for("vllm")))
    assert (cost.peak_bytes, cost.reason) == (None, NO_LAYERS)


def test_a_reading_of_nothing_costs_nothing_to_read():
    empty = Reading("full", ())
    assert (empty.tokens_read, empty.largest_prompt) == (0, 0)
