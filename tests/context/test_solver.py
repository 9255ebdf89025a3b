"""The largest prompt that fits: maximal, in the engine's steps, and never above what was given."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.context.architectures.registry import known_model
from ragstack.context.complexity import estimate_memory
from ragstack.context.deployment import AttentionKernel, Deployment, Device, Engine, deployment_for
from ragstack.context.effective import EFFECTIVE_LENGTHS, Task, effective_length, length_warning
from ragstack.context.latency import CalibratedPrefill, RooflinePrefill, Speed
from ragstack.context.solver import (
    largest_fit,
    largest_within_latency,
    largest_within_memory,
    prompt_limits,
)
from ragstack.errors import ArchitectureError

GIB = 2**30
MODELS = ["SmolLM2-135M", "Llama-3.2-1B", "Llama-3.1-8B", "gemma-3-1b", "Qwen3-30B-A3B", "gpt-oss-20b"]

deployments = st.builds(
    Deployment,
    engine=st.sampled_from([Engine.LLAMA_CPP, Engine.OLLAMA, Engine.VLLM, Engine.TRANSFORMERS]),
    attention=st.sampled_from(list(AttentionKernel)),
    activation_type=st.sampled_from(["f32", "bf16"]),
    chunk=st.sampled_from([64, 512, 2_048]),
    parallel=st.integers(1, 4),
    shared_cache=st.booleans(),
    device=st.sampled_from(list(Device)),
)


@given(limit=st.integers(0, 5_000), ceiling=st.integers(1, 4_000), step=st.sampled_from([1, 16, 256]))
def test_a_fit_is_maximal_and_a_multiple_of_the_step(limit, ceiling, step):
    tokens, at_ceiling = largest_fit(lambda count: count <= limit, ceiling, step)
    if at_ceiling:
        assert tokens == ceiling <= limit
    else:
        assert tokens % step == 0
        assert tokens <= limit < max(tokens + step, 1)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(MODELS),
    deployment=deployments,
    gib=st.floats(0.05, 80),
    ceiling=st.integers(1, 200_000),
)
def test_the_solver_is_maximal_for_every_engine(name, deployment, gib, ceiling):
    model = known_model(name).quantised("q4_k_m")
    memory = int(gib * GIB)

    def fits(tokens):
        return estimate_memory(model, deployment, tokens).upper.total <= memory

    fit = largest_within_memory(model, deployment, memory, ceiling=ceiling)
    assert fit.granularity == deployment.granularity
    if fit.at_ceiling:
        assert fit.tokens == ceiling
        assert fits(ceiling)
    else:
        assert fit.tokens % fit.granularity == 0
        assert fit.tokens == 0 or fits(fit.tokens)
        assert not fits(fit.tokens + fit.granularity) or fit.tokens + fit.granularity > ceiling


def test_an_8b_model_in_8_gib_has_the_window_that_its_parts_leave():
    model = known_model("llama3.1:8b")
    fit = largest_within_memory(model, Deployment(), 8 * GIB)
    upper = estimate_memory(model, Deployment(), fit.tokens).upper
    assert 4_096 <= fit.tokens < 32_768
    assert fit.tokens % 256 == 0
    assert upper.total <= 8 * GIB < upper.total + 512 * 131_072
    assert fit.reason.startswith(f"{upper.weights / GIB:.2f} GiB weights")


def test_more_memory_a_smaller_cache_type_and_fewer_sequences_never_shorten_the_window():
    model = known_model("llama3.1:8b")

    def window(memory=9 * GIB, **settings):
        return largest_within_memory(model, Deployment(**settings), memory).tokens

    assert window(memory=10 * GIB) > window() > window(memory=8 * GIB) > 0
    assert window(key_type="q8_0", value_type="q8_0") > window()
    assert window(parallel=2) < window()


def test_nothing_fits_where_the_weights_do_not():
    fit = largest_within_memory(known_model("Llama-3.1-70B"), Deployment(), 8 * GIB)
    assert (fit.tokens, fit.at_ceiling) == (0, False)
    assert "weights" in fit.reason


def test_plenty_of_memory_ends_at_the_window():
    fit = largest_within_memory(known_model("SmolLM2-135M"), Deployment(), 64 * GIB)
    assert (fit.tokens, fit.at_ceiling) == (8_192, True)


def test_a_model_of_unknown_layers_has_no_memory_limit_to_compute():
    unknown = replace(known_model("gpt2"), layers=(), source="http://host", name="in-house")
    with pytest.raises(ArchitectureError, match="in-house"):
        largest_within_memory(unknown, Deployment(), GIB)


SPEED = Speed(1e12, 1e11, "a test's machine")


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(MODELS), deployment=deployments, seconds=st.floats(0.001, 1_000))
def test_the_latency_limit_is_maximal(name, deployment, seconds):
    prefill = RooflinePrefill(known_model(name), deployment, SPEED)
    fit = largest_within_latency(prefill, seconds, ceiling=100_000)
    assert fit.at_ceiling or prefill.seconds(fit.tokens + 1) > seconds
    assert fit.tokens == 0 or prefill.seconds(fit.tokens) <= seconds


def test_the_latency_limit_equals_the_closed_form():
    """With a n^2 + b n = T, n = (-b + sqrt(b^2 + 4 a T)) / 2a."""
    prefill = CalibratedPrefill(0.0, 1e-3, 1e-7, "two timed prompts")
    closed = (-1e-3 + (1e-6 + 4 * 1e-7 * 5) ** 0.5) / (2 * 1e-7)
    assert largest_within_latency(prefill, 5).tokens == int(closed)


def test_limits_are_named_as_the_ledger_names_them_and_carry_their_reasons():
    model = known_model("llama3.1:8b")
    prefill = RooflinePrefill(model, Deployment(), SPEED)
    limits = prompt_limits(
        model, Deployment(), reserve=512, memory=8 * GIB, prefill=prefill, seconds=30, effective=True
    )
    assert [limit.name for limit in limits] == ["memory", "latency", "effective length"]
    assert limits[0].tokens == largest_within_memory(model, Deployment(), 8 * GIB).tokens - 512
    assert "512 reserve" in limits[0].reason
    assert "a test's machine" in limits[1].reason
    assert (limits[2].tokens, "RULER" in limits[2].reason) == (32_768, True)
    assert prompt_limits(model, Deployment()) == ()


def test_every_effective_length_has_a_source_a_date_and_a_criterion():
    for entry in EFFECTIVE_LENGTHS:
        assert entry.tokens >= 1_024
        assert entry.benchmark.source.startswith("https://")
        assert entry.benchmark.date[:4].isdigit()
        assert entry.benchmark.criterion


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("Llama-3.1-8B", 32_768),
        ("meta-llama/Llama-3.1-8B-Instruct", 32_768),
        ("llama3.1:8b", 32_768),
        ("Qwen/Qwen3-14B", 131_072),
        ("Mistral-Nemo-12B", 16_384),
    ],
)
def test_effective_lengths_are_found_by_any_of_a_model_s_names(name, tokens):
    assert effective_length(name).tokens == tokens


def test_inference_without_shared_words_is_good_for_far_less():
    assert effective_length("Llama-3.1-8B", Task.INFERENCE).tokens == 1_024
    assert effective_length("never measured") is None


def test_a_warning_comes_only_beyond_what_is_used_well():
    assert length_warning("Llama-3.1-8B", 32_768) is None
    assert "RULER" in length_warning("Llama-3.1-8B", 32_769)
    assert length_warning("Qwen3-14B", 200_000) is None
    assert length_warning("in-house", 32_768) is None
    assert "in-house" in length_warning("in-house", 40_000)


def test_an_engine_comes_with_its_own_settings():
    assert deployment_for("llama.cpp").granularity == 256
    assert deployment_for("vllm").granularity == 16
    plain = deployment_for("transformers", activation_type="f32")
    assert (plain.key_type, plain.chunk, plain.granularity) == ("f32", None, 1)
