"""How a model will read: window, engine, memory, speed and what limits its prompt."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_servers import llama_cpp, ollama, serving, vllm

from ragstack.context.deployment import AttentionKernel, Device, Engine, Regime, planned_deployment
from ragstack.context.gpus import PUBLISHED_GPUS, published_gpu, require_gpu
from ragstack.context.keys import KEY_VARIABLE
from ragstack.context.latency import CalibratedPrefill, parse_seconds
from ragstack.context.reader_plans import plan_reader
from ragstack.context.timing import time_prompts
from ragstack.errors import ArchitectureError, UsageError

GB = 10**9
CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "vocab_size": 1_000,
    "max_position_embeddings": 8_192,
}


def limits(plan, reserve=0):
    return {term.name: term for term in plan.limits(reserve)}


# ---------------------------------------------------------------------------- window


def test_a_window_that_is_given_takes_the_place_of_the_trained_one():
    plan = plan_reader("llama3.1:8b", window=8_192, memory="64GB")
    assert (plan.window, plan.window_reason) == (8_192, "given")
    assert limits(plan)["memory"].tokens == 8_192
    assert plan_reader("llama3.1:8b").window_reason == "trained (published)"


def test_a_window_beyond_what_the_model_is_made_for_is_noted():
    plan = plan_reader("gpt2", window=4_096)
    assert plan.window == 4_096
    assert any("beyond the 1,024" in note for note in plan.notes)


def test_a_server_s_window_is_never_exceeded_but_may_be_undercut():
    with serving(llama_cpp()) as (url, _):
        assert plan_reader(url, window=100_000).window == 8_192
        below = plan_reader(url, window=2_000)
    assert (below.window, below.window_reason) == (2_000, "given")


def test_the_reserve_is_an_eighth_of_the_window_and_bounded():
    assert plan_reader("gpt2").reserve == 128
    assert plan_reader("llama3.1:8b").reserve == 1_024


# ---------------------------------------------------------------------------- engine


def test_the_engine_is_the_usual_one_of_the_file_or_the_server_s_own(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert plan_reader(str(tmp_path)).deployment.engine is Engine.TRANSFORMERS
    assert plan_reader("llama3.1:8b").deployment.engine is Engine.LLAMA_CPP
    assert plan_reader("llama3.1:8b", engine="vllm").deployment.engine is Engine.VLLM
    for replies, engine in ((llama_cpp(), "llama.cpp"), (vllm(), "vllm"), (ollama(), "ollama")):
        with serving(replies) as (url, _):
            assert plan_reader(url).deployment.engine == engine


def test_the_slots_of_a_server_are_its_parallel_sequences():
    with serving(llama_cpp()) as (url, _):
        assert plan_reader(url).deployment.parallel == 4
        assert plan_reader(url, parallel=1).deployment.parallel == 1


@pytest.mark.parametrize(
    ("regime", "kernel", "chunk"),
    [
        (Regime.EAGER, AttentionKernel.EAGER, None),
        (Regime.EAGER_CHUNKED, AttentionKernel.EAGER, 512),
        (Regime.FUSED_MASK, AttentionKernel.FUSED_MASK, None),
        (Regime.FUSED, AttentionKernel.FUSED, None),
    ],
)
def test_the_four_regimes_are_told_apart_in_transformers(regime, kernel, chunk):
    planned = planned_deployment("transformers", regime=regime)
    assert (planned.attention, planned.chunk) == (kernel, chunk)


def test_the_four_regimes_take_less_and_less(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    windows = [
        limits(plan_reader(str(tmp_path), window=10**6, memory="8GB", regime=regime))["memory"].tokens
        for regime in (Regime.EAGER, Regime.FUSED_MASK, Regime.EAGER_CHUNKED, Regime.FUSED)
    ]
    assert windows == sorted(windows)
    assert len(set(windows)) == 4


@pytest.mark.parametrize(
    ("engine", "cache", "attention"),
    [
        ("llama.cpp", "fp8", "fused"),
        ("vllm", "q8_0", "fused"),
        ("transformers", "q8_0", "fused"),
        ("transformers", "f32/f16", "fused"),
        ("llama.cpp", "q9_9", "fused"),
        ("llama.cpp", "q8_0", "eager"),
        ("vllm", None, "eager"),
        ("vllm", None, "fused-mask"),
    ],
)
def test_what_an_engine_cannot_do_is_refused_with_what_it_can(engine, cache, attention):
    with pytest.raises(UsageError) as caught:
        planned_deployment(engine, cache_type=cache, regime=Regime(attention))
    assert caught.value.hint


def test_keys_and_values_may_have_types_of_their_own():
    planned = planned_deployment("llama.cpp", cache_type="q8_0/f16")
    assert (planned.key_type, planned.value_type) == ("q8_0", "f16")
    assert planned_deployment("transformers", cache_type="f32").activation_type == "f32"


# ---------------------------------------------------------------------------- memory


def test_memory_is_what_is_given_or_what_is_free():
    assert plan_reader("llama3.1:8b", memory="8GB").memory.bytes == 8 * GB
    free = plan_reader("SmolLM2-135M").memory
    assert free.bytes > 0
    assert "given" not in free.reason


def test_the_memory_of_a_running_server_is_its_own_business_unless_it_is_given():
    with serving(llama_cpp()) as (url, _):
        plan = plan_reader(url)
        assert plan.memory is None
        assert "holds its window already" in plan.memory_reason
        assert "memory" not in limits(plan)
        assert "memory" in limits(plan_reader(url, memory="8GB"))


def test_a_model_that_ollama_has_not_loaded_needs_memory_that_is_free():
    with serving(ollama(ps={"models": []})) as (url, _):
        assert "memory" in limits(plan_reader(url))


def test_a_server_that_does_not_describe_its_model_limits_by_its_window_alone():
    data = [{"id": "in-house", "object": "model", "owned_by": "vllm", "max_model_len": 20_000}]
    with serving(vllm(**{"v1/models": {"object": "list", "data": data}})) as (url, _):
        plan = plan_reader(url)
        assert (plan.window, plan.limits(0), plan.prefill) == (20_000, (), None)
        with pytest.raises(ArchitectureError, match="in-house"):
            plan_reader(url, memory="8GB").limits(0)


def test_one_of_a_server_s_models_is_named_behind_the_address():
    with serving(ollama()) as (url, asked):
        assert plan_reader(f"{url}#llama3.2").architecture.name == "llama3.2"
    assert ("/api/show", {"model": "llama3.2"}) in [(path, body) for path, body, _ in asked]


def test_the_key_of_a_server_comes_from_the_environment_and_is_not_shown(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    with serving(vllm()) as (url, asked):
        plan = plan_reader(url)
    assert {key for _, _, key in asked} == {"Bearer secret"}
    assert "secret" not in repr(plan)
    assert plan_reader("llama3.1:8b").key is None


def test_transformers_holds_the_weights_in_the_type_that_it_computes_in(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    plain = plan_reader(str(tmp_path)).architecture
    wide = plan_reader(str(tmp_path), cache_type="f32").architecture
    assert (plain.weight_type, wide.weight_type) == ("bf16", "f32")
    assert plan_reader(str(tmp_path), cache_type="f32").window_reason == "trained (model file)"
    assert wide.stored_bytes == 2 * plain.stored_bytes
    assert plan_reader("llama3.1:8b", cache_type="f32").architecture.weight_type == "q4_k_m"


def test_vllm_takes_nine_tenths_of_a_gpu_unless_its_memory_is_given():
    assert plan_reader("Qwen3-8B", engine="vllm", gpu="4090").memory.bytes == 24 * GB * 9 // 10
    assert plan_reader("Qwen3-8B", engine="vllm", gpu="4090", memory="24GB").memory.bytes == 24 * GB


def test_an_address_with_a_key_in_it_is_refused_without_repeating_the_key():
    with pytest.raises(UsageError) as caught:
        plan_reader("http://ada:secret@localhost:11434#llama3.2")
    assert "secret" not in caught.value.message
    assert KEY_VARIABLE in caught.value.hint


# ----------------------------------------------------------------------------- GPUs


def test_a_gpu_is_planned_for_by_its_published_numbers():
    plan = plan_reader("llama3.1:8b", gpu="rtx-4090")
    assert (plan.memory.bytes, plan.deployment.device) == (24 * GB, Device.GPU)
    assert "Ada" in plan.speed.reason
    assert plan_reader("llama3.1:8b", gpu="4090", memory="10GB").memory.bytes == 10 * GB


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA A100-SXM4-40GB", "A100 40GB"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("Tesla T4", "T4"),
    ],
)
def test_the_driver_s_name_finds_the_card(name, card):
    assert published_gpu(name).name == card


def test_a_similar_name_is_another_card():
    assert published_gpu("NVIDIA GeForce RTX 4090 Laptop GPU") is None
    with pytest.raises(UsageError) as caught:
        require_gpu("rtx 4091")
    assert "`RTX 4090`" in caught.value.hint


def test_every_card_has_a_source_and_plausible_numbers():
    for card in PUBLISHED_GPUS:
        assert "NVIDIA" in card.source
        assert 1e13 < card.flops < 1e16
        assert 1e11 < card.bandwidth < 1e13
        assert 8 * GB <= card.memory <= 200 * GB


# ----------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("500ms", 0.5), ("2 min", 120), ("1.5", 1.5), ("3m", 180), (" 7 S ", 7)]
)
def test_lengths_of_time_are_read_as_people_write_them(text, seconds):
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "fast", "5x", "-1s", "0", "0ms", "1e9s", "nan", "9" * 400 + "s"])
def test_what_is_no_length_of_time_is_refused_with_an_example(text):
    with pytest.raises(UsageError) as caught:
        parse_seconds(text)
    assert "`5s`" in caught.value.hint


def test_a_latency_limits_by_the_speed_of_this_machine_or_of_the_gpu():
    here = limits(plan_reader("llama3.1:8b", latency="60s"))["latency"]
    assert "measured by copying" in here.reason
    there = limits(plan_reader("llama3.1:8b", latency=60, gpu="h100"))["latency"]
    assert "H100" in there.reason
    assert there.tokens > here.tokens > 0


def test_a_server_is_timed_by_two_prompts_when_that_is_asked_for():
    with serving(vllm()) as (url, asked):
        plan = plan_reader(url, latency="20s", measure=True)
    assert isinstance(plan.prefill, CalibratedPrefill)
    assert plan.speed is None
    assert limits(plan)["latency"].reason.startswith("first token within 20 s by two timed prompts: ")
    prompts = [body["prompt"] for path, body, _ in asked if path == "/v1/completions"]
    assert len(prompts) == 3
    assert len({prompt[:40] for prompt in prompts}) == 3


def test_timed_prompts_fit_the_window_however_many_tokens_a_word_is():
    def complete(body):
        tokens = 5 * len(body["prompt"].split())
        time.sleep(tokens / 10_000)
        return {"usage": {"prompt_tokens": tokens}} if tokens <= 10_000 else 400

    with serving(vllm(**{"v1/completions": complete})) as (url, asked):
        plan_reader(url, measure=True)
    lengths = [5 * len(body["prompt"].split()) for path, body, _ in asked if path == "/v1/completions"]
    assert lengths[1:] == [pytest.approx(512, rel=0.02), pytest.approx(2_048, rel=0.02)]


def test_a_short_prompt_that_was_held_up_is_timed_again():
    sent = []

    def complete(body):
        tokens = len(body["prompt"].split())
        sent.append(tokens)
        time.sleep(0.5 if len(sent) == 2 else tokens / 10_000)
        return {"usage": {"prompt_tokens": tokens}}

    with serving(vllm(**{"v1/completions": complete})) as (url, _):
        short, long = time_prompts(url, "in-house", window=20_000)
    assert sent[1:] == [512, 2_048, 512, 2_048]
    assert short.seconds < long.seconds


def test_a_server_that_completes_nothing_cannot_be_timed():
    with (
        serving(vllm(**{"v1/completions": 400})) as (url, _),
        pytest.raises(ArchitectureError, match="cannot be timed") as caught,
    ):
        plan_reader(url, measure=True)
    assert "--gpu" in caught.value.hint


def test_a_server_is_asked_to_complete_nothing_unless_that_is_wanted():
    with serving(llama_cpp()) as (url, asked):
        plan_reader(url, latency="5s")
    assert "/v1/completions" not in [path for path, _, _ in asked]


def test_a_latency_that_cannot_be_judged_is_an_error_that_says_how_to_judge_it():
    data = [{"id": "in-house", "object": "model", "owned_by": "vllm", "max_model_len": 20_000}]
    with serving(vllm(**{"v1/models": {"object": "list", "data": data}})) as (url, _):
        with pytest.raises(UsageError, match="not known") as caught:
            plan_reader(url, latency="5s").limits(0)
        assert "--measure" in caught.value.hint


@settings(max_examples=60, deadline=None)
@given(
    gigabytes=st.integers(1, 200),
    reserve=st.integers(0, 4_000),
    seconds=st.floats(0.01, 500),
    window=st.integers(256, 200_000),
)
def test_no_limit_is_negative_or_above_the_window(gigabytes, reserve, seconds, window):
    plan = plan_reader(
        "llama3.1:8b", memory=f"{gigabytes}GB", latency=seconds, window=window, gpu="4090", effective=True
    )
    found = limits(plan, reserve)
    assert set(found) == {"memory", "latency", "effective length"}
    assert all(0 <= found[name].tokens <= window for name in ("memory", "latency"))
