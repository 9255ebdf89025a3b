"""The complexity model against real forward passes of torch, measured by its allocator: the reduced form.

The full table, with prompts of up to 8,192 tokens, is `scripts/benchmark complexity`.
"""

from __future__ import annotations

import pytest

from ragstack.context.architectures.huggingface import architecture_from_config
from ragstack.context.deployment import AttentionKernel, Deployment, Device, Engine
from ragstack.context.transformers_pass import transformers_pass
from ragstack.inspection.forward_passes import (
    TINY_MODELS,
    PassRow,
    build_model,
    measure_passes,
    measure_peak,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers and torch warn of tiny models and profiling

# Position tables and other small tensors that the formulas leave out.
SMALL = 2**12


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other on a busy machine would take most of the time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=list(TINY_MODELS))
def rows(request) -> list[PassRow]:
    models = {request.param: TINY_MODELS[request.param]}
    types = ("f32", "bf16") if request.param == "Llama" else ("bf16",)
    return list(measure_passes(models, lengths=(256, 1_024), types=types, chunks=(None, 256)))


def test_peaks_are_those_of_the_formulas(rows):
    assert len(rows) >= 8
    for row in rows:
        assert abs(row.measured - row.expected) <= SMALL, row


def test_growth_is_within_three_percent_where_it_is_large_enough_to_tell(rows):
    errors = [row.growth_error for row in rows if row.growth_error is not None]
    assert errors
    assert max(abs(error) for error in errors) <= 0.03


def test_no_peak_exceeds_the_upper_bound(rows):
    assert all(row.is_bounded for row in rows)


def deployment(**settings) -> Deployment:
    kind = settings.pop("kind")
    types = {"key_type": kind, "value_type": kind, "activation_type": kind}
    return Deployment(engine=Engine.TRANSFORMERS, device=Device.CPU, **{"chunk": None, **types, **settings})


BASE = TINY_MODELS["Llama"]
VARIANTS = {
    "heads of their own": {**BASE, "num_key_value_heads": 8},
    "a narrow feed-forward": {**BASE, "intermediate_size": 256},
    "wide heads": {**TINY_MODELS["Qwen3"], "head_dim": 256},
    "wide heads of Gemma": {**TINY_MODELS["Gemma-3"], "head_dim": 256},
    "one projection": {**BASE, "model_type": "phi3", "pad_token_id": 0},
    "experts": {**BASE, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
    "many small experts": {
        **BASE,
        "model_type": "qwen3_moe",
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 128,
    },
}


@pytest.mark.parametrize("kernel", [AttentionKernel.EAGER, AttentionKernel.FUSED])
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_shapes_have_other_peaks_and_the_formulas_follow(variant, kernel):
    config = VARIANTS[variant]
    model = build_model(config, kernel, "bf16")
    architecture = architecture_from_config(config, name=variant, source="a test")
    for chunk in (None, 128):
        estimate = transformers_pass(
            architecture, deployment(kind="bf16", attention=kernel, chunk=chunk), 512
        )
        measured = measure_peak(model, 512, chunk=chunk)
        assert measured == pytest.approx(estimate.cache + estimate.expected, rel=0.02, abs=SMALL)
        assert measured <= estimate.cache + estimate.upper


def test_several_sequences_take_as_much_as_the_formulas_say():
    for kernel in (AttentionKernel.EAGER, AttentionKernel.FUSED):
        model = build_model(BASE, kernel, "f32")
        architecture = architecture_from_config(BASE, name="Llama", source="a test")
        estimate = transformers_pass(architecture, deployment(kind="f32", attention=kernel, parallel=3), 512)
        measured = measure_peak(model, 512, batch=3)
        assert measured == pytest.approx(estimate.cache + estimate.expected, rel=0.03)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "falcon"])
@pytest.mark.parametrize("kernel", [AttentionKernel.EAGER, AttentionKernel.FUSED])
def test_families_that_are_not_followed_stay_under_the_upper_bound(family, kernel):
    names = {"hidden_size": "n_embd", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer"}
    config = {"hidden_size": 512, "num_attention_heads": 8, "num_hidden_layers": 2, "vocab_size": 1_024}
    config = {
        names[key] if family == "gpt2" and key in names else key: value for key, value in config.items()
    }
    config["model_type"] = family
    if family == "gpt_neox":
        config["intermediate_size"] = 2_048
    model = build_model(config, kernel, "f32")
    architecture = architecture_from_config(config, name=family, source="a test")
    estimate = transformers_pass(architecture, deployment(kind="f32", attention=kernel), 1_024)
    assert measure_peak(model, 1_024) <= estimate.cache + estimate.upper
