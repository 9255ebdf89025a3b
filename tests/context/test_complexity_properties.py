"""What must hold of memory and time for every model, engine and length."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.context.architectures.description import Architecture, Layer, LayerKind
from ragstack.context.architectures.registry import known_model
from ragstack.context.cache import cache_bytes, layer_cells
from ragstack.context.complexity import estimate_memory
from ragstack.context.deployment import AttentionKernel, Deployment, Device, Engine, deployment_for
from ragstack.errors import UsageError

layers = st.builds(
    Layer,
    kind=st.just(LayerKind.FULL),
    heads=st.just(8),
    kv_heads=st.sampled_from([1, 2, 4, 8]),
    key_dimension=st.sampled_from([32, 64, 128]),
    value_dimension=st.sampled_from([32, 64, 128]),
)
windowed = st.builds(
    lambda layer, window: replace(layer, kind=LayerKind.SLIDING, window=window), layers, st.integers(1, 5_000)
)


def build(chosen: list[Layer]) -> Architecture:
    return Architecture(
        name="any",
        family="gemma3_text",
        source="a test",
        layers=tuple(chosen),
        hidden_size=512,
        heads=8,
        vocabulary=32_000,
        feed_forward=1_536,
        parameters=10**8,
        active_parameters=5 * 10**7,
    )


architectures = st.builds(build, st.lists(layers | windowed, min_size=1, max_size=6))
deployments = st.builds(
    Deployment,
    engine=st.sampled_from(list(Engine)),
    attention=st.sampled_from(list(AttentionKernel)),
    activation_type=st.sampled_from(["f32", "f16", "bf16"]),
    chunk=st.integers(1, 3_000),
    parallel=st.integers(1, 6),
    shared_cache=st.booleans(),
    all_logits=st.booleans(),
    device=st.sampled_from(list(Device)),
)
lengths = st.integers(1, 40_000)


def totals(model: Architecture, deployment: Deployment, tokens: int) -> tuple[int, int]:
    estimate = estimate_memory(model, deployment, tokens)
    return estimate.expected.total, estimate.upper.total


def grows(smaller: tuple[int, int], larger: tuple[int, int]) -> bool:
    return all(before <= after for before, after in zip(smaller, larger, strict=True))


@settings(max_examples=300, deadline=None)
@given(model=architectures, deployment=deployments, tokens=lengths, more=st.integers(1, 5_000))
def test_memory_grows_with_the_prompt(model, deployment, tokens, more):
    assert grows(totals(model, deployment, tokens), totals(model, deployment, tokens + more))


@settings(max_examples=200, deadline=None)
@given(model=architectures, deployment=deployments, tokens=lengths)
def test_memory_grows_with_the_sequences(model, deployment, tokens):
    larger = replace(deployment, parallel=deployment.parallel + 1)
    assert grows(totals(model, deployment, tokens), totals(model, larger, tokens))


@settings(max_examples=300, deadline=None)
@given(model=architectures, deployment=deployments, tokens=lengths, more=st.integers(1, 3_000))
def test_memory_grows_with_the_chunk(model, deployment, tokens, more):
    larger = replace(deployment, chunk=deployment.chunk + more)
    assert grows(totals(model, deployment, tokens), totals(model, larger, tokens))


@settings(max_examples=200, deadline=None)
@given(model=architectures, deployment=deployments, tokens=lengths)
def test_the_upper_estimate_is_never_under_the_expected(model, deployment, tokens):
    expected, upper = totals(model, deployment, tokens)
    assert expected <= upper


@settings(max_examples=200, deadline=None)
@given(model=architectures, deployment=deployments, tokens=lengths)
def test_a_sliding_layer_never_caches_more_than_a_full_one(model, deployment, tokens):
    for layer in model.layers:
        cells = layer_cells(layer, deployment, tokens, window=layer.window)
        assert cells <= layer_cells(layer, deployment, tokens, window=None)
    assert cache_bytes(model, deployment, tokens) <= cache_bytes(
        model, replace(deployment, full_window_cache=True), tokens
    )


@settings(max_examples=200, deadline=None)
@given(model=architectures, tokens=lengths, parallel=st.integers(1, 8))
def test_q8_0_is_exactly_17_thirty_seconds_of_f16(model, tokens, parallel):
    plain = Deployment(parallel=parallel)
    quantised = cache_bytes(model, plain.with_cache_type("q8_0"), tokens)
    assert quantised == cache_bytes(model, plain, tokens) * 0.53125


@given(model=architectures, tokens=lengths)
def test_keys_and_values_have_types_of_their_own(model, tokens):
    plain = Deployment()
    mixed = cache_bytes(model, plain.with_cache_type("q8_0/f16"), tokens)
    both = [cache_bytes(model, plain.with_cache_type(kind), tokens) for kind in ("q8_0", "f16")]
    assert both[0] <= mixed <= both[1]


@given(model=architectures, tokens=lengths, chunk=st.integers(1, 3_000))
def test_flash_attention_saves_memory_in_llama_cpp(model, tokens, chunk):
    fused = Deployment(chunk=chunk)
    eager = replace(fused, attention=AttentionKernel.EAGER)
    assert totals(model, fused, tokens)[0] <= totals(model, eager, tokens)[0]


def test_the_four_regimes_grow_as_they_should():
    """Eager whole n^2 H; eager in chunks n c H; fused with a mask n^2 without H; fused without: linear."""
    model = replace(build([Layer(LayerKind.FULL, 8, 8, 64, 64)] * 2), family="llama")

    def growth(heads=8, **settings):
        layer = Layer(LayerKind.FULL, heads, heads, 512 // heads, 512 // heads)
        deployment = Deployment(
            **{"engine": Engine.TRANSFORMERS, "chunk": None, "device": Device.CPU, **settings}
        )
        sizes = [
            estimate_memory(replace(model, layers=(layer,) * 2, heads=heads), deployment, n).expected.total
            for n in (16_384, 32_768)
        ]
        return sizes[1] - sizes[0]

    eager = {"attention": AttentionKernel.EAGER}
    assert growth(heads=16, **eager) == pytest.approx(2 * growth(**eager), rel=0.05)
    assert growth(chunk=1_024, **eager) == pytest.approx(2 * growth(chunk=512, **eager), rel=0.25)
    masked = {"attention": AttentionKernel.FUSED_MASK}
    assert growth(heads=16, **masked) == pytest.approx(growth(**masked), rel=0.01)
    assert growth(**masked) > 8 * growth() > 0


def test_logits_of_every_position_are_charged_when_they_are_asked_for():
    model = known_model("Llama-3.2-1B")
    plain = deployment_for("transformers")
    every = replace(plain, all_logits=True)
    assert estimate_memory(model, plain, 8_192).expected.buffers < 8_192 * model.vocabulary * 2
    assert estimate_memory(model, every, 8_192).expected.buffers > 8_192 * model.vocabulary * 2


def test_an_encoder_holds_no_cache():
    model = replace(build([Layer(LayerKind.FULL, 8, 8, 64, 64)]), causal=False, family="bert")
    assert estimate_memory(model, deployment_for("transformers"), 512).expected.cache == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"parallel": 0},
        {"tensor_parallel": 0},
        {"chunk": 0},
        {"chunk": None},
        {"key_type": "q6_k"},
        {"value_type": "q8_0", "attention": AttentionKernel.EAGER},
    ],
)
def test_settings_that_no_engine_has_are_refused(settings):
    with pytest.raises(UsageError):
        Deployment(**settings)


def test_an_unknown_engine_is_refused_with_those_that_are_known():
    with pytest.raises(UsageError) as caught:
        deployment_for("magic")
    assert "`llama.cpp`" in caught.value.hint
