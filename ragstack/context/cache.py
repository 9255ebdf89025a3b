"""Bytes of the key-value cache and of recurrent state, by each engine's own rule for cells.

One cell holds the keys and values of one token in one layer. How many cells an engine allocates differs
from how many tokens there are: that is what these functions know. Weights and buffers are elsewhere.

n = tokens of one sequence, w = sliding window, c = tokens of one prefill step.
"""

from __future__ import annotations

import math
from fractions import Fraction

from ragstack.context.architectures.description import Architecture, Layer, LayerKind
from ragstack.context.architectures.quantization import cache_type
from ragstack.context.deployment import Deployment, Engine

# llama.cpp pads every cache to this many cells (since late 2025 with and without flash attention).
LLAMA_CPP_CELLS = 256
VLLM_BLOCK = 16

# vLLM's `fp8_ds_mla` format of multi-head latent attention (vllm/v1/kv_cache_interface.py): 512 bytes of
# fp8 latent, 4 float32 scales, 64 bf16 rotary elements.
VLLM_FP8_LATENT_BYTES = 656

# Recurrent state is float32 in every engine (llama.cpp src/llama-hparams.cpp).
STATE_ELEMENT_BYTES = 4

# Families of Hugging Face configurations whose window llama.cpp honours; `gguf_models` holds the same for
# its own names. For all others (mistral, phi3, qwen2 ...) llama.cpp caches every token.
_LLAMA_CPP_SLIDES = {
    "gemma2",
    "gemma3_text",
    "gemma3n_text",
    "gemma4_text",
    "cohere2",
    "gpt_oss",
    "llama4_text",
    "exaone4",
    "olmo3",
    "smallthinker",
    # the same under their GGUF names
    "gemma3",
    "gemma3n",
    "gemma4",
    "gemma-embedding",
    "gpt-oss",
    "llama4",
    "olmo2",
    "laguna",
}


def padded(tokens: int, step: int) -> int:
    """`tokens` rounded up to a multiple of `step`."""
    return -(-tokens // step) * step


def effective_window(architecture: Architecture, layer: Layer, deployment: Deployment) -> int | None:
    """The window that the engine gives the layer's cache; None when it keeps every token."""
    if layer.window is None or deployment.full_window_cache:
        return None
    if deployment.runs_llama_cpp and architecture.family not in _LLAMA_CPP_SLIDES:
        return None
    return layer.window


def layer_cells(layer: Layer, deployment: Deployment, tokens: int, *, window: int | None) -> int:
    """Cells of one layer for all parallel sequences of `tokens` tokens; `window` None keeps them all.

    llama.cpp, full: each stream padded to 256. Sliding (src/llama-kv-cache-iswa.cpp):
    min(n, w * sequences in the stream + c), padded to 256.
    vLLM, full: blocks of 16. Sliding (vllm/v1/kv_cache_interface.py): min(w - 1 + c, n) in blocks, and one
    block more; chunked: min(w + c, n) in blocks.
    transformers: n; a sliding layer is given min(n - c, w - 1) + c, because the tensor that the last w - 1
    cells are a view of stays alive until the next step (cache_utils.py, DynamicSlidingWindowLayer).
    """
    if not layer.owns_cache or not layer.has_attention:
        return 0
    if deployment.runs_llama_cpp:
        return _llama_cpp_cells(deployment, tokens, window)
    if deployment.engine is Engine.VLLM:
        return _vllm_cells(layer, deployment, tokens, window)
    return deployment.parallel * transformers_cells(deployment, tokens, window)


def _llama_cpp_cells(deployment: Deployment, tokens: int, window: int | None) -> int:
    streams = 1 if deployment.shared_cache else deployment.parallel
    in_one_stream = deployment.parallel // streams
    needed = tokens
    if window is not None:
        needed = min(tokens, window * in_one_stream + (deployment.chunk or 0))
    return streams * padded(needed, LLAMA_CPP_CELLS)


def _vllm_cells(layer: Layer, deployment: Deployment, tokens: int, window: int | None) -> int:
    if window is None:
        return deployment.parallel * padded(tokens, VLLM_BLOCK)
    chunk = deployment.chunk or 0
    if layer.kind is LayerKind.CHUNKED:
        return deployment.parallel * padded(min(window + chunk, tokens), VLLM_BLOCK)
    blocks = padded(min(window - 1 + chunk, tokens), VLLM_BLOCK) + VLLM_BLOCK
    return deployment.parallel * min(blocks, padded(tokens, VLLM_BLOCK))


def transformers_cells(deployment: Deployment, tokens: int, window: int | None) -> int:
    """Cells of one sequence in one layer of a DynamicCache, after a prefill of `tokens` tokens."""
    step = min(deployment.chunk or tokens, tokens)
    if window is None:
        return tokens
    return min(tokens - step, window - 1) + step


def cell_bytes(layer: Layer, deployment: Deployment) -> Fraction:
    """Bytes of one cell of one layer, exact for block-quantised types too.

    Hkv * (d_k * bytes_k + d_v * bytes_v); for multi-head latent attention the latent alone where the engine
    absorbs the projections (llama.cpp since PR #19067, vLLM), else the expanded keys and values
    (transformers). The latent is one vector for all heads, so tensor parallelism does not divide it. An
    indexer's keys come on top.
    """
    key, value = cache_type(deployment.key_type), cache_type(deployment.value_type)
    index = layer.index_dimension * key.bytes_per_element
    if layer.latent_dimension and deployment.engine is not Engine.TRANSFORMERS:
        if deployment.engine is Engine.VLLM and key.name == "fp8":
            return VLLM_FP8_LATENT_BYTES + index
        return layer.latent_dimension * key.bytes_per_element + index
    heads = -(-layer.kv_heads // deployment.tensor_parallel)
    keys, values = heads * layer.key_dimension, heads * layer.value_dimension
    return keys * key.bytes_per_element + values * value.bytes_per_element + index


def layer_cache_bytes(architecture: Architecture, layer: Layer, deployment: Deployment, tokens: int) -> int:
    """Bytes of one layer's cache for all parallel sequences of `tokens` tokens."""
    window = effective_window(architecture, layer, deployment)
    return math.ceil(layer_cells(layer, deployment, tokens, window=window) * cell_bytes(layer, deployment))


def cache_bytes(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """Bytes of the key-value cache of the whole model for `tokens` tokens of each parallel sequence.

    With `deployment.shared_cache` the tokens are those of the pool that the sequences share.
    """
    if not architecture.causal:
        return 0  # an encoder reads its text once and keeps nothing
    return sum(
        count * layer_cache_bytes(architecture, layer, deployment, tokens)
        for layer, count in architecture.require_layers()
    )


def bytes_per_token(architecture: Architecture, deployment: Deployment) -> float:
    """Bytes that one more token costs beyond every window: the slope of `cache_bytes`."""
    total = 0.0
    for layer, count in architecture.require_layers():
        growing = layer.has_attention and layer.owns_cache
        if growing and effective_window(architecture, layer, deployment) is None:
            total += float(count * deployment.parallel * cell_bytes(layer, deployment))
    return total


def state_bytes(architecture: Architecture, deployment: Deployment) -> int:
    """Bytes of recurrent state: float32, for each sequence and layer, whatever the prompt's length."""
    elements = sum(layer.state_elements * count for layer, count in architecture.require_layers())
    return STATE_ELEMENT_BYTES * elements * deployment.parallel
