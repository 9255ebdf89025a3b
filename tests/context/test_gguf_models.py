"""GGUF files, written by the `gguf` package, and what is read from them: architectures and exact weights."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from ragstack.context.architectures.description import LayerKind
from ragstack.context.architectures.gguf import read_header
from ragstack.context.architectures.gguf_models import read_gguf
from ragstack.context.architectures.quantization import GGML_TYPES
from ragstack.context.cache import bytes_per_token, cache_bytes, state_bytes
from ragstack.context.deployment import Deployment
from ragstack.errors import ArchitectureError

HIDDEN, VOCABULARY = 256, 320


def write_model(
    path: Path, family: str, layers: int, fill, *, tensors: bool = True, tokens: bool = True
) -> Path:
    """A small file of that architecture; `fill` adds its own keys to the writer."""
    writer = gguf.GGUFWriter(path, family)
    writer.add_name("a model")
    writer.add_context_length(8_192)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(512)
    fill(writer)
    if tokens:
        writer.add_token_list([f"token {i}" for i in range(VOCABULARY)])
        writer.add_chat_template("{{ messages }}" * 1_000)
    if tensors:
        add_tensors(writer, layers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_tensors(writer, layers: int) -> None:
    writer.add_tensor("token_embd.weight", np.zeros((VOCABULARY, HIDDEN), np.float16))
    writer.add_tensor("output_norm.weight", np.zeros(HIDDEN, np.float32))
    for layer in range(layers):
        writer.add_tensor(f"blk.{layer}.attn_q.weight", np.zeros((HIDDEN, HIDDEN), np.float16))
        packed = np.zeros((512, HIDDEN // 256 * 144), np.uint8)
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q4_K)


def heads(writer, query: int = 8, key_value=2) -> None:
    writer.add_head_count(query)
    writer.add_head_count_kv(key_value)


def test_block_sizes_are_those_of_the_gguf_package():
    theirs = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert {number: (kind.block, kind.block_bytes) for number, kind in GGML_TYPES.items()} == theirs


def test_llama_has_exact_weights_and_heads_from_the_hidden_size(tmp_path):
    model = read_gguf(write_model(tmp_path / "m.gguf", "llama", 3, heads))
    assert (model.name, model.family, len(model.layers), model.vocabulary) == (
        "a model",
        "llama",
        3,
        VOCABULARY,
    )
    assert (model.layers[0].key_dimension, model.layers[0].kv_heads, model.heads) == (32, 2, 8)
    quantised = 512 * HIDDEN // 256 * 144
    assert model.weight_bytes == VOCABULARY * HIDDEN * 2 + HIDDEN * 4 + 3 * (HIDDEN * HIDDEN * 2 + quantised)
    assert model.active_parameters == 3 * (HIDDEN * HIDDEN + 512 * HIDDEN)
    assert model.window == 8_192


def test_weights_agree_with_the_gguf_reader(tmp_path):
    path = write_model(tmp_path / "m.gguf", "llama", 3, heads)
    theirs = gguf.GGUFReader(path)
    assert read_header(path).weight_bytes == sum(tensor.n_bytes for tensor in theirs.tensors)


def test_explicit_key_and_value_lengths_come_first(tmp_path):
    def fill(writer):
        heads(writer)
        writer.add_key_length(128)
        writer.add_value_length(64)

    layer = read_gguf(write_model(tmp_path / "m.gguf", "qwen3", 2, fill)).layers[0]
    assert (layer.key_dimension, layer.value_dimension) == (128, 64)


def test_a_window_that_llama_cpp_ignores_is_charged_in_full_and_noted(tmp_path):
    def fill(writer):
        heads(writer)
        writer.add_sliding_window(4_096)

    model = read_gguf(write_model(tmp_path / "m.gguf", "llama", 2, fill))
    assert model.layers[0].kind is LayerKind.FULL
    assert model.notes == ("the window of 4,096 tokens is charged in full: llama.cpp ignores it for `llama`",)


@pytest.mark.parametrize(
    ("family", "layers", "full"),
    [("gemma2", 4, [1, 3]), ("gemma3", 7, [5]), ("cohere2", 8, [3, 7]), ("gpt-oss", 4, [1, 3])],
)
def test_sliding_windows_follow_the_architecture_s_pattern(tmp_path, family, layers, full):
    def fill(writer):
        heads(writer)
        writer.add_sliding_window(512)

    model = read_gguf(write_model(tmp_path / "m.gguf", family, layers, fill))
    assert [i for i, layer in enumerate(model.layers) if layer.window is None] == full
    # min(8192, 512 + 512) cells in a sliding layer, 8192 in a full one; 2 heads of 32 and 32 in f16
    cells = len(full) * 8_192 + (layers - len(full)) * 1_024
    assert cache_bytes(model, Deployment(), 8_192) == cells * 2 * 64 * 2


def test_per_layer_heads_windows_and_dimensions_are_read_from_their_lists(tmp_path):
    def fill(writer):
        heads(writer, key_value=[2, 2, 1])
        writer.add_sliding_window(512)
        writer.add_sliding_window_pattern([True, True, False])
        writer.add_key_length(64)
        writer.add_value_length(64)
        writer.add_key_length_swa(32)
        writer.add_value_length_swa(32)
        writer.add_shared_kv_layers(1)

    layers = read_gguf(write_model(tmp_path / "m.gguf", "gemma4", 3, fill)).layers
    assert [layer.kv_heads for layer in layers] == [2, 2, 1]
    assert [layer.window for layer in layers] == [512, 512, None]
    assert [layer.key_dimension for layer in layers] == [32, 32, 64]
    assert [layer.owns_cache for layer in layers] == [True, True, False]


def test_latent_attention_caches_the_latent_alone(tmp_path):
    def fill(writer):
        heads(writer, query=16, key_value=1)
        writer.add_kv_lora_rank(64)
        writer.add_rope_dimension_count(16)
        writer.add_key_length(80)
        writer.add_value_length(64)
        writer.add_key_length_mla(48)
        writer.add_value_length_mla(32)

    model = read_gguf(write_model(tmp_path / "m.gguf", "deepseek2", 2, fill))
    assert (model.layers[0].latent_dimension, model.layers[0].key_dimension) == (80, 48)
    assert bytes_per_token(model, Deployment()) == 2 * 80 * 2


def test_an_older_conversion_of_latent_attention_caches_expanded_heads(tmp_path):
    def fill(writer):
        heads(writer, query=16, key_value=16)
        writer.add_kv_lora_rank(64)
        writer.add_key_length(48)
        writer.add_value_length(32)

    model = read_gguf(write_model(tmp_path / "m.gguf", "deepseek2", 2, fill))
    assert bytes_per_token(model, Deployment()) == 2 * 16 * (48 + 32) * 2


def test_hybrids_have_state_where_they_have_no_cache(tmp_path):
    def fill(writer):
        heads(writer)
        writer.add_ssm_conv_kernel(4)
        writer.add_ssm_inner_size(512)
        writer.add_ssm_state_size(16)
        writer.add_ssm_group_count(2)
        writer.add_full_attention_interval(4)

    model = read_gguf(write_model(tmp_path / "m.gguf", "qwen3next", 8, fill))
    assert [layer.kind is LayerKind.FULL for layer in model.layers] == [False, False, False, True] * 2
    assert state_bytes(model, Deployment()) == 6 * 4 * (3 * (512 + 2 * 2 * 16) + 16 * 512)


def test_layers_without_key_value_heads_are_recurrent(tmp_path):
    def fill(writer):
        heads(writer, key_value=[0, 2, 0])
        writer.add_shortconv_l_cache(3)

    model = read_gguf(write_model(tmp_path / "m.gguf", "lfm2", 3, fill))
    assert [layer.kind is LayerKind.RECURRENT for layer in model.layers] == [True, False, True]
    assert state_bytes(model, Deployment()) == 2 * 4 * HIDDEN * 2


def test_a_model_of_state_alone_needs_no_cache_however_long_the_prompt(tmp_path):
    def fill(writer):
        writer.add_head_count(0)
        writer.add_ssm_conv_kernel(4)
        writer.add_ssm_inner_size(512)
        writer.add_ssm_state_size(16)

    model = read_gguf(write_model(tmp_path / "m.gguf", "mamba", 2, fill))
    assert cache_bytes(model, Deployment(), 1_000_000) == 0
    assert state_bytes(model, Deployment()) > 0


def test_only_the_experts_used_count_for_arithmetic(tmp_path):
    def fill(writer):
        heads(writer)
        writer.add_expert_count(8)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(64)
        writer.add_tensor("blk.0.ffn_up_exps.weight", np.zeros((8, 64, HIDDEN), np.float16))

    model = read_gguf(write_model(tmp_path / "m.gguf", "qwen3moe", 1, fill, tensors=False))
    assert model.parameters == 8 * 64 * HIDDEN
    assert model.active_parameters == 2 * 64 * HIDDEN
    assert (model.experts, model.experts_used, model.feed_forward) == (8, 2, 128)


def test_draft_layers_for_several_tokens_are_not_run(tmp_path):
    def fill(writer):
        heads(writer)
        writer.add_nextn_predict_layers(1)

    assert len(read_gguf(write_model(tmp_path / "m.gguf", "glm4moe", 4, fill)).layers) == 3


def test_an_encoder_has_no_cache(tmp_path):
    def fill(writer):
        writer.add_head_count(8)
        writer.add_causal_attention(False)

    model = read_gguf(write_model(tmp_path / "m.gguf", "bert", 2, fill))
    assert cache_bytes(model, Deployment(), 512) == 0


def test_rotary_scaling_extends_the_window(tmp_path):
    def fill(writer):
        heads(writer)
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(4.0)
        writer.add_rope_scaling_orig_ctx_len(8_192)

    model = read_gguf(write_model(tmp_path / "m.gguf", "qwen2", 1, fill))
    assert (model.trained_window, model.window) == (8_192, 32_768)


def test_all_parts_of_a_split_model_count(tmp_path):
    whole = read_gguf(write_model(tmp_path / "whole.gguf", "llama", 2, heads))
    first = write_model(tmp_path / "m-00001-of-00002.gguf", "llama", 2, heads)
    write_model(tmp_path / "m-00002-of-00002.gguf", "llama", 2, heads)
    assert read_gguf(first).weight_bytes == 2 * whole.weight_bytes


def test_a_missing_part_of_a_split_model_is_named(tmp_path):
    first = write_model(tmp_path / "m-00001-of-00002.gguf", "llama", 2, heads)
    with pytest.raises(ArchitectureError, match="m-00002-of-00002"):
        read_gguf(first)


def test_a_file_of_the_other_byte_order_reads_the_same(tmp_path):
    little = read_gguf(write_model(tmp_path / "m.gguf", "llama", 2, heads))
    writer = gguf.GGUFWriter(tmp_path / "big.gguf", "llama", endianess=gguf.GGUFEndian.BIG)
    writer.add_name("a model")
    writer.add_context_length(8_192)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(2)
    writer.add_feed_forward_length(512)
    heads(writer)
    writer.add_vocab_size(VOCABULARY)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert read_gguf(tmp_path / "big.gguf").layers == little.layers


@pytest.mark.parametrize("field", ["head_count", "embedding_length", "block_count"])
def test_a_missing_key_is_named(tmp_path, field):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    if field != "embedding_length":
        writer.add_embedding_length(HIDDEN)
    if field != "block_count":
        writer.add_block_count(2)
    if field != "head_count":
        heads(writer)
    writer.add_vocab_size(10)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ArchitectureError, match=rf"`llama\..*{field}`"):
        read_gguf(tmp_path / "m.gguf")


def test_a_list_of_the_wrong_length_is_named(tmp_path):
    path = write_model(tmp_path / "m.gguf", "gemma4", 3, lambda writer: heads(writer, key_value=[1, 2]))
    with pytest.raises(ArchitectureError, match="head_count_kv"):
        read_gguf(path)


def test_a_projector_file_is_refused(tmp_path):
    with pytest.raises(ArchitectureError, match="`clip` file"):
        read_gguf(write_model(tmp_path / "m.gguf", "clip", 1, heads))
