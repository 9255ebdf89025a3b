"""Hugging Face configurations: every family's traps, exact parameter counts, errors that name the field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragstack.context.architectures.description import LayerKind
from ragstack.context.architectures.huggingface import architecture_from_config, read_config
from ragstack.errors import ArchitectureError

SMALL = {
    "vocab_size": 1_000,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "num_hidden_layers": 4,
}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
LATENT = {
    "kv_lora_rank": 64,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 64,
    "first_k_dense_replace": 1,
    "n_group": 2,
    "topk_group": 1,
}

# Families, and the variants of each whose weights differ in kind.
CONFIGURATIONS = [
    ("llama", SMALL),
    ("llama", {**SMALL, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("mistral", {**SMALL, "head_dim": 64, "sliding_window": None}),
    ("mixtral", {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2}),
    ("qwen2", SMALL),
    ("qwen2_moe", {**SMALL, **EXPERTS, "shared_expert_intermediate_size": 128}),
    ("qwen3", {**SMALL, "head_dim": 64}),
    ("qwen3_moe", {**SMALL, **EXPERTS, "mlp_only_layers": [1]}),
    ("qwen3_moe", {**SMALL, **EXPERTS, "decoder_sparse_step": 2}),
    ("qwen3_next", {**SMALL, **EXPERTS, "shared_expert_intermediate_size": 128}),
    ("gemma", SMALL),
    ("gemma2", SMALL),
    ("gemma3_text", {**SMALL, "num_hidden_layers": 7}),
    ("gemma3n_text", {**SMALL, "num_hidden_layers": 10, "num_kv_shared_layers": 5}),
    ("gemma4_text", {**SMALL, "num_hidden_layers": 7}),
    (
        "gemma4_text",
        {**SMALL, "num_hidden_layers": 6, "attention_k_eq_v": True, "num_global_key_value_heads": 1},
    ),
    (
        "gemma4_text",
        {**SMALL, "num_hidden_layers": 12, "num_kv_shared_layers": 6, "use_double_wide_mlp": True},
    ),
    (
        "gemma4_text",
        {
            **SMALL,
            "enable_moe_block": True,
            "num_experts": 4,
            "top_k_experts": 2,
            "moe_intermediate_size": 64,
        },
    ),
    ("phi", {**SMALL, "num_key_value_heads": 8}),
    ("phi3", {**SMALL, "pad_token_id": 0}),
    ("starcoder2", SMALL),
    ("starcoder2", {**SMALL, "use_bias": False}),
    ("deepseek_v3", {**SMALL, **LATENT, "num_key_value_heads": 8, "q_lora_rank": 32}),
    ("deepseek_v3", {**SMALL, **LATENT, "num_key_value_heads": 8, "q_lora_rank": None}),
    ("gpt_oss", {**SMALL, "num_local_experts": 4}),
    ("cohere", SMALL),
    ("cohere2", {**SMALL, "num_hidden_layers": 5}),
    ("falcon", {"vocab_size": 1_000, "hidden_size": 256, "num_attention_heads": 8, "num_hidden_layers": 2}),
    (
        "falcon",
        {
            "vocab_size": 1_000,
            "hidden_size": 256,
            "num_attention_heads": 8,
            "multi_query": False,
            "num_hidden_layers": 2,
        },
    ),
    (
        "falcon",
        {
            "vocab_size": 1_000,
            "hidden_size": 256,
            "num_attention_heads": 8,
            "num_hidden_layers": 2,
            "new_decoder_architecture": True,
            "num_kv_heads": 2,
        },
    ),
    ("gpt2", {"n_embd": 256, "n_head": 8, "n_layer": 2, "vocab_size": 1_000}),
    ("gpt_neox", {**SMALL, "num_key_value_heads": 8}),
    ("bert", {**SMALL, "num_key_value_heads": 8}),
]


def describe(config):
    return architecture_from_config(config, name="a model", source="config.json")


@pytest.mark.parametrize(("family", "values"), CONFIGURATIONS)
@pytest.mark.filterwarnings("ignore")  # transformers warns of tiny vocabularies
def test_parameters_are_counted_as_transformers_builds_them(family, values):
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    config = AutoConfig.for_model(family, **values)
    with torch.device("meta"):
        model = (AutoModel if family == "bert" else AutoModelForCausalLM).from_config(config)
    assert describe(config.to_dict()).parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("family", "values"), [pair for pair in CONFIGURATIONS if pair[0] != "bert"])
@pytest.mark.filterwarnings("ignore")
def test_the_fields_of_a_hub_file_say_as_much_as_the_library_s_own(family, values):
    """A Hub file leaves out what equals its class's defaults; the library writes everything."""
    from transformers import AutoConfig

    complete = AutoConfig.for_model(family, **values).to_dict()
    terse = describe({"model_type": family, **values})
    assert terse.layers == describe(complete).layers
    assert terse.parameters == describe(complete).parameters


def test_a_head_dimension_is_taken_before_hidden_size_over_heads():
    assert describe({**SMALL, "model_type": "qwen3", "head_dim": 64}).layers[0].key_dimension == 64
    assert describe({**SMALL, "model_type": "llama", "head_dim": None}).layers[0].key_dimension == 32


def test_missing_key_value_heads_mean_as_many_as_heads():
    config = {**SMALL, "model_type": "llama", "num_key_value_heads": None}
    assert describe(config).layers[0].kv_heads == 8


def test_qwen_s_window_counts_only_with_its_switch():
    config = {**SMALL, "model_type": "qwen2", "sliding_window": 128, "max_window_layers": 2}
    assert {layer.window for layer in describe(config).layers} == {None}
    switched = describe({**config, "use_sliding_window": True})
    assert [layer.window for layer in switched.layers] == [None, None, 128, 128]


def test_mistral_without_the_field_has_its_class_s_window_and_with_null_none():
    assert describe({**SMALL, "model_type": "mistral"}).layers[0].window == 4_096
    assert describe({**SMALL, "model_type": "mistral", "sliding_window": None}).layers[0].window is None


@pytest.mark.parametrize(
    ("family", "full"),
    [("gemma2", [1, 3, 5]), ("gemma3_text", [5]), ("cohere2", [3]), ("gpt_oss", [1, 3, 5])],
)
def test_families_slide_by_their_own_pattern(family, full):
    experts = {"num_local_experts": 4} if family == "gpt_oss" else {}
    layers = describe({**SMALL, **experts, "model_type": family, "num_hidden_layers": 6}).layers
    assert [i for i, layer in enumerate(layers) if layer.kind is LayerKind.FULL] == full


def test_a_list_of_layer_types_overrides_the_pattern():
    kinds = ["full_attention", "sliding_attention", "full_attention", "full_attention"]
    layers = describe({**SMALL, "model_type": "gemma2", "layer_types": kinds}).layers
    assert [layer.window for layer in layers] == [None, 4_096, None, None]


def test_gemma_3_of_the_hub_is_read_at_its_text_config_with_the_class_s_defaults():
    """The real file of the 4B model states five fields of its text model and leaves out the heads."""
    text = {
        "hidden_size": 2_560,
        "intermediate_size": 10_240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1_024,
    }
    model = describe({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1_152}})
    assert model.parameters == 3_880_263_168
    assert (model.heads, model.layers[0].kv_heads, model.layers[0].key_dimension) == (8, 4, 256)
    assert sum(layer.kind is LayerKind.FULL for layer in model.layers) == 5


def test_gemma_4_has_its_own_heads_on_full_layers_and_ends_with_one():
    config = {
        **SMALL,
        "model_type": "gemma4_text",
        "num_hidden_layers": 7,
        "head_dim": 64,
        "global_head_dim": 128,
    }
    layers = describe(config).layers
    assert [layer.key_dimension for layer in layers] == [64] * 5 + [128, 128]
    assert layers[-1].window is None


def test_shared_layers_own_no_cache():
    config = {**SMALL, "model_type": "gemma3n_text", "num_hidden_layers": 10, "num_kv_shared_layers": 4}
    assert [layer.owns_cache for layer in describe(config).layers] == [True] * 6 + [False] * 4


def test_latent_attention_has_expanded_heads_and_a_latent():
    layer = describe({**SMALL, **LATENT, "model_type": "deepseek_v3", "q_lora_rank": 32}).layers[0]
    assert (layer.kv_heads, layer.key_dimension, layer.value_dimension, layer.latent_dimension) == (
        8,
        48,
        32,
        80,
    )


def test_three_of_four_layers_of_qwen3_next_are_recurrent():
    layers = describe({**SMALL, **EXPERTS, "model_type": "qwen3_next"}).layers
    assert [layer.kind is LayerKind.RECURRENT for layer in layers] == [True, True, True, False]
    # (4 - 1) * (4096 + 2 * 2048) for the convolution, 128 * 4096 for the recurrence
    assert layers[0].state_elements == 3 * 8_192 + 128 * 4_096
    assert layers[3].key_dimension == 256


def test_falcon_s_multi_query_is_one_head_and_its_new_decoder_says_how_many():
    base = {
        "model_type": "falcon",
        "vocab_size": 100,
        "hidden_size": 64,
        "num_attention_heads": 8,
        "num_hidden_layers": 1,
    }
    assert describe(base).layers[0].kv_heads == 1
    assert describe({**base, "multi_query": False}).layers[0].kv_heads == 8
    assert describe({**base, "new_decoder_architecture": True, "num_kv_heads": 4}).layers[0].kv_heads == 4


def test_an_encoder_is_not_causal():
    assert describe({**SMALL, "model_type": "bert"}).causal is False


@pytest.mark.parametrize(
    ("fields", "trained", "scaled"),
    [
        (
            {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}},
            32_768,
            131_072,
        ),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, 32_768, 65_536),
        (
            {
                "rope_scaling": {
                    "rope_type": "llama3",
                    "factor": 8.0,
                    "original_max_position_embeddings": 8_192,
                }
            },
            32_768,
            None,
        ),
        (
            {
                "rope_parameters": {
                    "rope_type": "yarn",
                    "factor": 8.0,
                    "original_max_position_embeddings": 4_096,
                }
            },
            32_768,
            None,
        ),
        ({"rope_scaling": None}, 32_768, None),
    ],
)
def test_windows_are_scaled_only_where_the_file_means_it(fields, trained, scaled):
    model = describe({**SMALL, "model_type": "llama", "max_position_embeddings": 32_768, **fields})
    assert (model.trained_window, model.scaled_window) == (trained, scaled)
    assert model.window == (scaled or trained)


def test_an_unknown_family_is_read_like_llama_and_says_so():
    model = describe({**SMALL, "model_type": "newcomer"})
    assert model.notes == ("family `newcomer` is not known and read like Llama",)


@pytest.mark.parametrize("field", ["num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"])
def test_a_missing_field_is_named(field):
    config = {key: value for key, value in SMALL.items() if key != field}
    with pytest.raises(ArchitectureError, match=f"`{field}`") as caught:
        describe({"model_type": "llama", **config})
    assert caught.value.hint


@pytest.mark.parametrize("value", [0, -4, "four", 2.5, True, [1], 10**9])
def test_a_garbled_field_is_named(value):
    with pytest.raises(ArchitectureError, match="`num_hidden_layers`"):
        describe({**SMALL, "model_type": "llama", "num_hidden_layers": value})


def test_a_list_of_the_wrong_length_is_named():
    with pytest.raises(ArchitectureError, match="`layer_types`"):
        describe({**SMALL, "model_type": "gemma2", "layer_types": ["full_attention"]})


def test_an_encoder_decoder_is_refused():
    with pytest.raises(ArchitectureError, match="encoder-decoder"):
        describe({**SMALL, "model_type": "t5", "is_encoder_decoder": True})


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_file_is_an_error_and_not_a_crash(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ArchitectureError, match=r"config\.json"):
        read_config(path)


def write_config(folder: Path, **more) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**SMALL, "model_type": "llama", "torch_dtype": "bfloat16", **more}))
    return path


def test_safetensors_headers_give_exact_weight_bytes(tmp_path):
    import torch
    from safetensors.torch import save_file

    tensors = {"a": torch.zeros(100, 3, dtype=torch.bfloat16), "b": torch.zeros(7, dtype=torch.float32)}
    save_file(tensors, tmp_path / "model-00001-of-00002.safetensors", metadata={"format": "pt"})
    save_file({"c": torch.zeros(11, dtype=torch.uint8)}, tmp_path / "model-00002-of-00002.safetensors")
    assert read_config(write_config(tmp_path)).stored_bytes == 600 + 28 + 11


def test_an_index_without_its_shards_gives_its_total(tmp_path):
    index = {"metadata": {"total_size": 16_060_522_496}, "weight_map": {}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read_config(write_config(tmp_path)).stored_bytes == 16_060_522_496


def test_a_pickled_checkpoint_counts_by_its_size_and_is_never_read(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"not a pickle at all")
    assert read_config(write_config(tmp_path)).stored_bytes == 19


def test_without_weights_bytes_follow_from_parameters_and_their_type(tmp_path):
    model = read_config(write_config(tmp_path))
    assert model.stored_bytes == 2 * model.parameters
    assert read_config(write_config(tmp_path, torch_dtype="float32")).stored_bytes == 4 * model.parameters


@pytest.mark.parametrize(
    "header",
    [b"", b"\x00" * 8, b"\xff" * 8, (5).to_bytes(8, "little") + b'{"a"', (2).to_bytes(8, "little") + b"[]"],
)
def test_a_damaged_safetensors_header_is_an_error(tmp_path, header):
    (tmp_path / "model.safetensors").write_bytes(header)
    with pytest.raises(ArchitectureError, match="safetensors"):
        read_config(write_config(tmp_path))


@pytest.mark.parametrize("offsets", [[0], [5, 1], ["a", "b"], None])
def test_damaged_offsets_are_an_error(tmp_path, offsets):
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": offsets}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ArchitectureError, match="data_offsets"):
        read_config(write_config(tmp_path))


def test_only_the_projections_of_a_quantised_checkpoint_shrink(tmp_path):
    plain = read_config(write_config(tmp_path))
    shrunk = read_config(write_config(tmp_path, quantization_config={"quant_method": "fp8"}))
    tables = 2 * SMALL["vocab_size"] * SMALL["hidden_size"]
    assert 2 * tables < shrunk.stored_bytes < plain.stored_bytes
    assert shrunk.stored_bytes == plain.active_parameters + 2 * (plain.parameters - plain.active_parameters)
