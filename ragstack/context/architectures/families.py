"""What distinguishes the model families of Hugging Face: class defaults, windows, biases, normalisations.

A table only, read by `huggingface` and `parameters`. Files on the Hub leave out every field that equals its
class's default, so the defaults belong to the format.
Source: `configuration_*.py` and `modeling_*.py` of transformers 5.23.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """How one `model_type` is built.

    `defaults` are the class's values for fields that a file may omit. `window_when` names the switch that
    turns the window on (`use_sliding_window`), None when the window field alone decides.
    `full_every` n: of every n layers the last reads everything and the others slide; 1: all slide.
    `gated` feed-forwards have three matrices, others two; at their peak they hold `feed_forward_tensors`
    activations of their width at once (gate, value, product ...), as the code is written. `norms` counts the
    normalisations of a layer over the hidden size, `query_key_norm` says that each head has one too. The
    last fields say where biases sit.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    window_when: str | None = None
    full_every: int = 1
    gated: bool = True
    feed_forward_tensors: int = 3
    norms: int = 2
    norm_bias: bool = False
    query_key_norm: bool = False
    query_bias: bool = False
    output_bias: bool = False
    feed_forward_bias: bool = False
    expert_bias: bool = False
    head_bias: bool = False
    attention_sinks: bool = False
    tied: bool = False
    causal: bool = True


_GEMMA3: dict[str, Any] = {
    "vocab_size": 262_208,
    "hidden_size": 2_304,
    "intermediate_size": 9_216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131_072,
    "sliding_window": 4_096,
}

_GEMMA3N: dict[str, Any] = {
    "vocab_size": 262_400,
    "vocab_size_per_layer_input": 262_144,
    "hidden_size": 2_048,
    "hidden_size_per_layer_input": 256,
    "intermediate_size": 16_384,
    "num_hidden_layers": 35,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "max_position_embeddings": 32_768,
    "sliding_window": 512,
    "num_kv_shared_layers": 15,
    "altup_num_inputs": 4,
    "laurel_rank": 64,
}

_GEMMA4: dict[str, Any] = {
    "vocab_size": 262_144,
    "vocab_size_per_layer_input": 262_144,
    "hidden_size": 2_304,
    "hidden_size_per_layer_input": 256,
    "intermediate_size": 9_216,
    "num_hidden_layers": 30,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "global_head_dim": 512,
    "max_position_embeddings": 131_072,
    "sliding_window": 512,
    "num_kv_shared_layers": 0,
}

_QWEN3_NEXT: dict[str, Any] = {
    "head_dim": 256,
    "num_key_value_heads": 2,
    "full_attention_interval": 4,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "decoder_sparse_step": 1,
}

_DEEPSEEK: dict[str, Any] = {
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
}

_DEEPSEEK_V3: dict[str, Any] = {
    **_DEEPSEEK,
    "q_lora_rank": 1_536,
    "n_shared_experts": 1,
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 2_048,
    "first_k_dense_replace": 3,
}

_ENCODER = Family(
    defaults={"max_position_embeddings": 512, "type_vocab_size": 2},
    gated=False,
    feed_forward_tensors=2,
    norm_bias=True,
    query_bias=True,
    output_bias=True,
    feed_forward_bias=True,
    tied=True,
    causal=False,
)

LLAMA = Family()

FAMILIES: Mapping[str, Family] = {
    "llama": LLAMA,
    "mistral": Family(defaults={"sliding_window": 4_096, "num_key_value_heads": 8}),
    "ministral": Family(defaults={"sliding_window": 4_096, "num_key_value_heads": 8}),
    "mixtral": Family(defaults={"num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2}),
    "qwen2": Family(
        defaults={"sliding_window": 4_096, "max_window_layers": 28},
        window_when="use_sliding_window",
        query_bias=True,
    ),
    "qwen2_moe": Family(
        defaults={"sliding_window": 4_096, "max_window_layers": 28, "decoder_sparse_step": 1},
        window_when="use_sliding_window",
        query_bias=True,
    ),
    "qwen3": Family(
        defaults={"sliding_window": 4_096, "max_window_layers": 28, "head_dim": 128},
        window_when="use_sliding_window",
        query_key_norm=True,
    ),
    "qwen3_moe": Family(
        defaults={"sliding_window": 4_096, "decoder_sparse_step": 1},
        window_when="use_sliding_window",
        query_key_norm=True,
    ),
    "qwen3_next": Family(defaults=_QWEN3_NEXT, query_key_norm=True),
    "gemma": Family(defaults={"head_dim": 256}, tied=True),
    "gemma2": Family(
        defaults={"head_dim": 256, "sliding_window": 4_096, "num_key_value_heads": 4},
        full_every=2,
        norms=4,
        tied=True,
    ),
    "gemma3_text": Family(defaults=_GEMMA3, full_every=6, norms=4, query_key_norm=True, tied=True),
    "gemma3n_text": Family(defaults=_GEMMA3N, full_every=5, norms=4, query_key_norm=True, tied=True),
    "gemma4_text": Family(defaults=_GEMMA4, full_every=6, norms=4, query_key_norm=True, tied=True),
    "phi": Family(
        gated=False,
        feed_forward_tensors=4,
        norms=1,
        norm_bias=True,
        query_bias=True,
        output_bias=True,
        feed_forward_bias=True,
        head_bias=True,
    ),
    "phi3": Family(feed_forward_tensors=4),
    "starcoder2": Family(
        defaults={"num_key_value_heads": 2},
        gated=False,
        feed_forward_tensors=2,
        norm_bias=True,
        query_bias=True,
        output_bias=True,
        feed_forward_bias=True,
        tied=True,
    ),
    "deepseek_v2": Family(defaults=_DEEPSEEK),
    "deepseek_v3": Family(defaults=_DEEPSEEK_V3),
    "kimi_k2": Family(defaults=_DEEPSEEK_V3),
    "gpt_oss": Family(
        defaults={"head_dim": 64, "sliding_window": 128, "num_experts_per_tok": 4},
        full_every=2,
        query_bias=True,
        output_bias=True,
        expert_bias=True,
        attention_sinks=True,
    ),
    "cohere": Family(norms=1, tied=True),
    "cohere2": Family(defaults={"sliding_window": 4_096}, full_every=4, norms=1, tied=True),
    "falcon": Family(gated=False, feed_forward_tensors=2, norms=1, norm_bias=True, tied=True),
    "gpt2": Family(
        defaults={
            "vocab_size": 50_257,
            "n_positions": 1_024,
            "n_embd": 768,
            "n_layer": 12,
            "n_head": 12,
        },
        gated=False,
        feed_forward_tensors=4,
        norm_bias=True,
        query_bias=True,
        output_bias=True,
        feed_forward_bias=True,
        tied=True,
    ),
    "gpt_neox": Family(
        gated=False,
        feed_forward_tensors=2,
        norm_bias=True,
        query_bias=True,
        output_bias=True,
        feed_forward_bias=True,
    ),
    "bert": _ENCODER,
}

# The name of the text model inside a multimodal configuration, where it differs from its own `model_type`.
TEXT_FAMILIES = {"gemma3": "gemma3_text", "gemma3n": "gemma3n_text", "gemma4": "gemma4_text"}
