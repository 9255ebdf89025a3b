"""Operations, traffic and seconds: against counts by hand, published totals and timed prompts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.context.architectures.description import Layer, LayerKind
from ragstack.context.architectures.registry import known_model
from ragstack.context.deployment import AttentionKernel, Deployment, Engine
from ragstack.context.latency import (
    CalibratedPrefill,
    RooflinePrefill,
    Speed,
    TimedPrompt,
    attention_flops,
    calibrate_prefill,
    decode_bytes,
    linear_flops,
    materialised_pairs,
    prefill_bytes,
    prefill_flops,
    tokens_per_second,
    visible_pairs,
)
from ragstack.errors import UsageError

LLAMA = known_model("Llama-3.1-8B")
SPEED = Speed(1e12, 1e11, "a test's machine")


def layer(kind=LayerKind.FULL, window=None):
    return Layer(kind, 8, 2, 64, 64, window)


@given(tokens=st.integers(1, 200), window=st.integers(1, 250), causal=st.booleans())
def test_pairs_are_counted_as_a_mask_would_count_them(tokens, window, causal):
    def near(i, j):
        return (0 <= i - j < window) if causal else abs(i - j) < window

    pairs = sum(near(i, j) for i in range(tokens) for j in range(tokens))
    assert visible_pairs(layer(LayerKind.SLIDING, window), tokens, causal=causal) == pairs
    every = sum(1 for i in range(tokens) for j in range(tokens) if not causal or j <= i)
    assert visible_pairs(layer(), tokens, causal=causal) == every


@given(tokens=st.integers(1, 200), window=st.integers(1, 250))
def test_chunked_attention_sees_only_its_own_chunk(tokens, window):
    pairs = sum(j <= i and i // window == j // window for i in range(tokens) for j in range(tokens))
    assert visible_pairs(layer(LayerKind.CHUNKED, window), tokens) == pairs


@given(tokens=st.integers(1, 300), chunk=st.none() | st.integers(1, 350))
def test_materialised_pairs_are_each_step_s_tokens_times_all_keys_so_far(tokens, chunk):
    step = chunk or tokens
    starts = range(0, tokens, step)
    expected = sum((min(start + step, tokens) - start) * min(start + step, tokens) for start in starts)
    assert materialised_pairs(tokens, chunk) == expected


def test_the_active_weights_of_llama_3_8b_are_those_of_its_layers():
    assert LLAMA.active_parameters == 6_979_321_856
    assert linear_flops(LLAMA, 1_000) == 2 * 6_979_321_856 * 1_000


def test_attention_equals_the_matrices_at_53_248_tokens():
    """With N = L H d n* for causal attention, n* = 6,979,321,856 / (32 * 32 * 128) = 53,248."""
    tokens = 53_248
    ratio = attention_flops(LLAMA, tokens) / linear_flops(LLAMA, tokens)
    assert ratio == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(("tokens", "share"), [(2_048, 0.04), (8_192, 0.13), (32_768, 0.38), (131_072, 0.71)])
def test_attention_s_share_of_a_prefill_grows_as_published(tokens, share):
    attention = attention_flops(LLAMA, tokens)
    assert attention / (attention + linear_flops(LLAMA, tokens)) == pytest.approx(share, abs=0.005)


def test_eager_attention_computes_what_the_mask_throws_away():
    assert attention_flops(LLAMA, 1_000, skips_masked=False) == 4 * 32 * 1_000**2 * 32 * 128


def test_a_window_saves_operations():
    plain, slid = (replace(LLAMA, layers=(each,) * 32) for each in (layer(), layer(LayerKind.SLIDING, 512)))
    assert attention_flops(slid, 512) == attention_flops(plain, 512)
    assert attention_flops(slid, 16_384) < attention_flops(plain, 16_384) / 10


def test_only_the_experts_used_are_multiplied_and_read():
    mixture = known_model("Qwen3-30B-A3B")
    assert prefill_flops(mixture, 100) < 0.2 * 2 * mixture.parameters * 100
    assert decode_bytes(mixture, Deployment(), 100) < 0.2 * mixture.stored_bytes


def test_a_token_is_written_at_the_speed_that_weights_and_cache_are_read():
    deployment = Deployment()
    traffic = LLAMA.stored_bytes * (1 - 128_256 * 4_096 / LLAMA.parameters) + 8_192 * 131_072
    assert decode_bytes(LLAMA, deployment, 8_192) == pytest.approx(traffic, rel=1e-3)
    assert tokens_per_second(LLAMA, deployment, SPEED, 8_192) == pytest.approx(
        1e11 * 0.76 / traffic, rel=1e-3
    )


def test_a_short_prompt_takes_the_time_of_reading_the_weights_once():
    prefill = RooflinePrefill(LLAMA, Deployment(), SPEED)
    assert prefill.seconds(1) == pytest.approx(LLAMA.stored_bytes / (1e11 * 0.76), rel=1e-2)


def test_a_long_prompt_takes_the_time_of_its_operations():
    prefill = RooflinePrefill(LLAMA, Deployment(), SPEED)
    assert prefill.seconds(8_192) == pytest.approx(prefill_flops(LLAMA, 8_192) / (1e12 * 0.7))


def test_materialised_scores_are_traffic():
    eager = Deployment(attention=AttentionKernel.EAGER)
    more = prefill_bytes(LLAMA, eager, 8_192) - prefill_bytes(LLAMA, Deployment(), 8_192)
    assert more == 6 * 4 * 32 * 32 * materialised_pairs(8_192, 512)


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["Llama-3.1-8B", "gemma-3-4b", "Qwen3-30B-A3B", "gpt2"]),
    engine=st.sampled_from(list(Engine)),
    attention=st.sampled_from(list(AttentionKernel)),
    chunk=st.sampled_from([64, 512, 2_048]),
    tokens=st.integers(1, 50_000),
    more=st.integers(1, 5_000),
)
def test_a_longer_prompt_never_takes_less_time(name, engine, attention, chunk, tokens, more):
    prefill = RooflinePrefill(known_model(name), Deployment(engine, attention, chunk=chunk), SPEED)
    assert prefill.seconds(tokens) <= prefill.seconds(tokens + more)


@given(
    linear=st.floats(1e-6, 1e-1),
    quadratic=st.floats(0, 1e-5),
    first=st.integers(10, 4_000),
    second=st.integers(10, 4_000),
)
def test_two_timed_prompts_give_both_coefficients_back(linear, quadratic, first, second):
    if first == second:
        second += 100
    truth = CalibratedPrefill(0.0, linear, quadratic, "")
    found = calibrate_prefill(*(TimedPrompt(n, truth.seconds(n)) for n in (first, second)))
    for tokens in (100, 10_000):
        assert found.seconds(tokens) == pytest.approx(truth.seconds(tokens), rel=1e-3)


def test_a_fixed_cost_is_not_mistaken_for_a_falling_price():
    """A request that costs 0.5 s before it starts: the longer prompt is cheaper a token."""
    found = calibrate_prefill(TimedPrompt(500, 0.5 + 0.5), TimedPrompt(2_000, 0.5 + 2.0))
    assert (found.constant, found.linear, found.quadratic) == pytest.approx((0.5, 1e-3, 0.0))


def test_the_architecture_says_how_much_of_a_fixed_price_is_attention():
    found = calibrate_prefill(TimedPrompt(500, 1.0), TimedPrompt(2_000, 2.5), LLAMA)
    assert found.quadratic / found.linear == pytest.approx(1 / 53_248, rel=1e-3)
    assert found.seconds(2_000) == pytest.approx(2.5)
    assert found.seconds(500) == pytest.approx(1.0)


def test_a_price_that_rises_faster_than_attention_explains_is_all_quadratic():
    found = calibrate_prefill(TimedPrompt(1_000, 0.1), TimedPrompt(2_000, 10.0))
    assert (found.linear, found.seconds(2_000)) == (0.0, 10.0)


@pytest.mark.parametrize("pair", [((500, 1.0), (500, 2.0)), ((500, 2.0), (600, 1.0)), ((0, 0.0), (5, 1.0))])
def test_timings_that_say_nothing_are_refused(pair):
    with pytest.raises(UsageError):
        calibrate_prefill(*(TimedPrompt(*values) for values in pair))


def test_a_speed_of_nothing_is_refused():
    with pytest.raises(UsageError):
        Speed(0, 1, "nothing")
