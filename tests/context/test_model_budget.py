"""The budget of a model before any question: parts that add up, limits that bind, lengths that are swept."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.answering.prompt import LanguageModelFrame
from ragstack.context.architectures.huggingface import architecture_from_config
from ragstack.context.budget import SAMPLE_QUESTION, model_budget, sweep_lengths
from ragstack.context.complexity import estimate_memory
from ragstack.context.reader_plans import plan_reader

FRAME = LanguageModelFrame(SAMPLE_QUESTION, "0123abcd")
GB = 10**9
NAMES = ["llama3.1:8b", "gemma-3-1b", "Qwen3-30B-A3B-q4_k_m", "gpt-oss-20b", "DeepSeek-V3", "gpt2"]
CACHES = {
    "llama.cpp": ["f16", "q8_0", "q4_0", "q8_0/f16"],
    "vllm": ["f16", "fp8"],
    "transformers": ["f32", "bf16"],
}


@st.composite
def budgets(draw):
    engine = draw(st.sampled_from(sorted(CACHES)))
    plan = plan_reader(
        draw(st.sampled_from(NAMES)),
        memory=f"{draw(st.integers(1, 120))}GB",
        latency=draw(st.none() | st.floats(0.05, 300)),
        engine=engine,
        cache_type=draw(st.sampled_from(CACHES[engine])),
        parallel=draw(st.integers(1, 4)),
        gpu=draw(st.sampled_from(["4090", "a100"])),
        effective=draw(st.booleans()),
    )
    reserve = draw(st.none() | st.integers(0, 2_000))
    return plan, model_budget(plan, FRAME, reserve=reserve)


@settings(max_examples=120, deadline=None)
@given(budgets())
def test_every_part_is_there_and_they_add_up(case):
    plan, budget = case
    *parts, total = budget.memory
    assert total.name == "total"
    assert total.expected == sum(part.expected for part in parts)
    assert total.upper == sum(part.upper for part in parts)
    estimate = estimate_memory(plan.architecture, plan.deployment, budget.tokens)
    assert (total.expected, total.upper) == (estimate.expected.total, estimate.upper.total)
    assert all(part.expected <= part.upper and part.reason for part in parts)


@settings(max_examples=120, deadline=None)
@given(budgets())
def test_what_fits_fits_and_the_ledger_adds_up(case):
    plan, budget = case
    ledger = budget.ledger
    smallest = min(term.tokens for term in ledger.limits)
    assert budget.binding == ledger.binding.name
    assert ledger.passage_budget == smallest - sum(term.tokens for term in ledger.charges)
    assert budget.fits == (ledger.passage_budget > 0)
    if not budget.prompt_tokens:
        return
    assert budget.memory[-1].upper <= plan.memory.bytes
    assert budget.tokens <= plan.window
    assert budget.prompt_tokens + ledger.reserve >= budget.tokens
    if plan.seconds is not None:
        assert budget.seconds_to_first_token <= plan.seconds


@settings(max_examples=60, deadline=None)
@given(budgets())
def test_a_sweep_only_grows_and_fits_no_longer_once_it_does_not(case):
    plan, budget = case
    rows = budget.sweep
    assert [row.fits for row in rows] == [row.upper <= plan.memory.bytes for row in rows]
    assert budget.tokens in [row.tokens for row in rows]
    for before, after in pairwise(rows):
        assert before.tokens < after.tokens
        assert before.upper <= after.upper
        assert before.cache <= after.cache
        assert before.seconds_to_first_token <= after.seconds_to_first_token
        assert before.fits or not after.fits


def test_a_sweep_has_powers_of_two_the_window_and_what_fits():
    assert sweep_lengths(6_000, 1_500) == [1_024, 1_500, 2_048, 4_096, 6_000]
    assert sweep_lengths(512, 512) == [512]


@pytest.mark.parametrize(
    ("settings_", "binding"),
    [
        ({"gpu": "h100"}, "window"),
        ({"memory": "8GB", "gpu": "4090"}, "memory"),
        ({"gpu": "4090", "latency": "1s"}, "latency"),
        ({"gpu": "h100", "effective": True}, "effective length"),
    ],
)
def test_each_of_the_four_limits_binds_when_it_is_the_smallest(settings_, binding):
    assert model_budget(plan_reader("llama3.1:8b", **settings_), FRAME).binding == binding


def test_a_prompt_beyond_what_the_model_uses_well_is_warned_of_unless_that_limits_it():
    long = model_budget(plan_reader("llama3.1:8b", gpu="h100"), FRAME)
    assert any("RULER" in warning for warning in long.warnings)
    assert not model_budget(plan_reader("llama3.1:8b", gpu="h100", effective=True), FRAME).warnings


def test_nothing_fits_where_the_weights_do_not():
    budget = model_budget(plan_reader("Llama-3.1-70B", memory="8GB", gpu="4090"), FRAME)
    assert (budget.prompt_tokens, budget.fits, budget.seconds_to_first_token) == (0, False, None)
    assert budget.memory[-1].upper > 8 * GB
    assert not any(row.fits for row in budget.sweep)


def test_an_encoder_writes_no_tokens():
    plan = plan_reader("gpt2", gpu="4090")
    bert = architecture_from_config(
        {
            "model_type": "bert", "num_hidden_layers": 12, "hidden_size": 768, "intermediate_size": 3_072,
            "num_attention_heads": 12, "vocab_size": 30_522, "max_position_embeddings": 512,
        },
        name="bert", source="config.json",
    )  # fmt: skip
    budget = model_budget(replace(plan, architecture=bert), FRAME)
    assert budget.tokens_per_second is None
    assert budget.memory[-1].expected > 0
