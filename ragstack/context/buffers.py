"""Bytes that one forward pass needs beyond weights and cache: scores, masks, activations, logits.

Each engine holds something else at its peak, so each has its own formula, with its source; the one for
transformers is `transformers_pass`. Standard library only.

n = tokens of one sequence, c = tokens of one prefill step, E = hidden size, H = query heads,
F = feed-forward width, V = vocabulary.
"""

from __future__ import annotations

from ragstack.context.architectures.description import Architecture
from ragstack.context.architectures.quantization import storage_type
from ragstack.context.cache import cache_bytes
from ragstack.context.deployment import AttentionKernel, Deployment, Engine
from ragstack.context.transformers_pass import FLOAT32, PassMemory, transformers_pass


def pass_memory(architecture: Architecture, deployment: Deployment, tokens: int) -> PassMemory:
    """Memory of reading a prompt of `tokens` tokens, for each of the parallel sequences."""
    if deployment.engine is Engine.TRANSFORMERS:
        return transformers_pass(architecture, deployment, tokens)
    cache = cache_bytes(architecture, deployment, tokens)
    if deployment.engine is Engine.VLLM:
        expected = vllm_buffer(architecture, deployment)
        # vLLM reserves what a profiling pass really took; a tenth more is a margin of ours, not measured.
        return PassMemory(cache, expected, expected * 11 // 10)
    expected = llama_cpp_buffer(architecture, deployment, tokens)
    return PassMemory(cache, expected, llama_cpp_buffer_upper(architecture, deployment, tokens))


# ------------------------------------------------------------------------- llama.cpp


def llama_cpp_buffer_2025(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """The compute buffer of llama.cpp builds of 2024 to mid 2025, fully offloaded, in bytes.

    Without flash attention max(4c(1 + 4E + n(1 + H)), 4c(E + V)), with it 4c(E + V): activations and scores
    are float32, and logits are reserved for every token of the step. With multi-head latent attention the
    scores 4cnH stand alone. Sources: Ollama `GraphSize` (fs/ggml/ggml.go), ik_llama.cpp PR #235.
    """
    chunk, hidden = deployment.chunk or tokens, architecture.hidden_size
    logits = FLOAT32 * chunk * (hidden + architecture.vocabulary)
    if deployment.attention is not AttentionKernel.EAGER:
        return logits
    if any(layer.latent_dimension for layer in architecture.layers):
        return max(logits, FLOAT32 * chunk * tokens * architecture.heads)
    return max(FLOAT32 * chunk * (1 + 4 * hidden + tokens * (1 + architecture.heads)), logits)


def llama_cpp_buffer(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """The compute buffer of llama.cpp builds of 2026, in bytes.

    With flash attention the mask is float16, 2c for each cell, beside 16Ec for activations and the logits of
    the further sequences (unsloth studio's measurements). Without it as before, but with logits of the last
    token alone.
    """
    chunk, hidden = deployment.chunk or tokens, architecture.hidden_size
    logits = FLOAT32 * architecture.vocabulary * deployment.parallel
    if deployment.attention is AttentionKernel.EAGER:
        return FLOAT32 * chunk * (1 + 4 * hidden + tokens * (1 + architecture.heads)) + logits
    return 2 * chunk * tokens + 16 * hidden * chunk + logits


def llama_cpp_buffer_upper(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """What no build's compute buffer should exceed, in bytes.

    The larger of both formulas and of one feed-forward block with its residuals, 4c(2F + 3E); beside it the
    mask, and up to 2.02 E bytes a token to dequantise a quantised cache (unsloth studio's measurements).
    """
    chunk, hidden = deployment.chunk or tokens, architecture.hidden_size
    largest = max(
        llama_cpp_buffer(architecture, deployment, tokens),
        llama_cpp_buffer_2025(architecture, deployment, tokens),
        FLOAT32 * chunk * (2 * architecture.feed_forward + 3 * hidden),
    )
    mask = 0 if deployment.attention is AttentionKernel.EAGER else 2 * chunk * tokens
    types = (storage_type(deployment.key_type), storage_type(deployment.value_type))
    scratch = tokens * hidden * 202 // 100 if any(kind.is_quantised for kind in types) else 0
    return largest + mask + scratch


def llama_cpp_host_buffer(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """The buffer that llama.cpp keeps in host memory: inputs and the mask, in bytes.

    4c(n + E) for the float32 mask and the embedded inputs, and three int32 for each token of the step: its
    id, its position and whether it is an output.
    """
    chunk = deployment.chunk or tokens
    return FLOAT32 * chunk * (tokens + architecture.hidden_size + 3)


def llama_cpp_output_buffer(architecture: Architecture, sequences: int, *, embeddings: bool = False) -> int:
    """Logits, and if asked embeddings, of one token of each sequence: float32, in bytes."""
    row = architecture.vocabulary + (architecture.hidden_size if embeddings else 0)
    return FLOAT32 * row * sequences


def ollama_partial_offload_buffer(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """Ollama's compute buffer when some layers stay on the CPU (`GraphSize`, "llama", partial), in bytes.

    The largest of the weights that are copied over for one step lies beside the activations: 105/128 byte
    for each element of a Q6_K head, 9/16 for each of a Q4_K square projection.
    """
    chunk, hidden, vocabulary = deployment.chunk or tokens, architecture.hidden_size, architecture.vocabulary
    layer = architecture.layers[0]
    step = FLOAT32 * chunk
    keys = step * architecture.heads + FLOAT32 * layer.key_dimension * layer.kv_heads
    attention = step * (1 + hidden + max(tokens, hidden)) + hidden * hidden * 9 // 16 + tokens * keys
    head = step * (hidden + vocabulary) + hidden * vocabulary * 105 // 128
    return step * hidden + max(attention, head)


# ------------------------------------------------------------------------------ vLLM


def vllm_buffer(architecture: Architecture, deployment: Deployment) -> int:
    """Activations of vLLM's profiling pass, in bytes: it does not depend on the prompt's length.

    c tokens hold two residual streams, the normalised input, queries, and the widest feed-forward with its
    gate (3F); logits are float32, for one token of each sequence.
    """
    chunk = deployment.chunk or 0
    width = storage_type(deployment.activation_type).block_bytes
    queries = max(layer.heads * layer.key_dimension for layer in architecture.layers)
    feed_forward = architecture.feed_forward_tensors * architecture.feed_forward
    activations = chunk * width * (3 * architecture.hidden_size + queries + feed_forward)
    return activations + FLOAT32 * architecture.vocabulary * deployment.parallel
