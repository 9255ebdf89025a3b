"""How much memory a model takes to read a prompt: weights, cache, state, buffers, overhead, in bytes.

Every number is a formula with a derivation and a source; the pieces are in `cache` (by engine, exact) and
`buffers` (what one pass holds), and are put together here. Each estimate is two: `expected`, and `upper`,
which is never under a measurement and which the solver uses. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ragstack.context.architectures.description import Architecture
from ragstack.context.architectures.quantization import FILE_TYPE_BITS, storage_type
from ragstack.context.buffers import (
    llama_cpp_host_buffer,
    llama_cpp_output_buffer,
    pass_memory,
)
from ragstack.context.cache import cache_bytes, layer_cache_bytes, state_bytes
from ragstack.context.deployment import Deployment, Device, Engine

MIB = 2**20

# What a process holds before the first weight, in bytes: expected and upper.
# A CUDA context with cuBLAS: 300 MB (pytorch#107667) to 320 MiB (unsloth studio); 451-456 MiB were
# unaccounted for on an RTX 4090 (llama.cpp PR #15860); llama.cpp keeps 1,024 MiB free (`--fit-target`).
GPU_OVERHEAD = (320 * MIB, 1_024 * MIB)
# torch 2.13 and transformers 5.23 imported: 367 MiB resident, measured; oneDNN and threads come on top.
TRANSFORMERS_OVERHEAD = (384 * MIB, 640 * MIB)
# The host side of a llama.cpp runner beside its tables (gguf-parser's estimate: 5 MiB and 4 MiB).
RUNNER_OVERHEAD = (9 * MIB, 128 * MIB)
# Of each token of the vocabulary: 8 + 32 + 56 bytes, and about one merge of 104 (gguf-parser).
RUNNER_TOKEN_BYTES = 8 + 32 + 56 + 104

# How far weights that were not read from files may exceed parameters times bits. The mixture of types in a
# llama.cpp file depends on the model; where the hidden size is no multiple of 256, K-quants fall back to
# larger types (Qwen2.5-0.5B Q4_K_M: 398 MB, 6.4 bits a weight instead of 4.9).
MIXTURE_SLACK = 0.12
FALLBACK_SLACK = 0.35
PLAIN_SLACK = 0.02


@dataclass(frozen=True, slots=True)
class MemoryBreakdown:
    """Bytes by what they are for.

    `buffers` are scores, masks and activations of one prefill step, `logits` the output rows, `overhead`
    what the process holds whatever the model.
    """

    weights: int
    cache: int
    state: int
    buffers: int
    logits: int
    overhead: int

    @property
    def total(self) -> int:
        """The sum."""
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """The memory of prompts of `tokens` tokens in each parallel sequence, on the device of the deployment."""

    tokens: int
    expected: MemoryBreakdown
    upper: MemoryBreakdown


def estimate_memory(architecture: Architecture, deployment: Deployment, tokens: int) -> MemoryEstimate:
    """Everything that the device holds when `tokens` tokens (prompt and answer) have been read.

    Raises ArchitectureError when the description lacks the layers or the size of the weights.
    """
    work = pass_memory(architecture, deployment, tokens)
    weights = architecture.stored_bytes // deployment.tensor_parallel
    state = state_bytes(architecture, deployment)
    logits = _logits(architecture, deployment, tokens)
    host = _host_buffers(architecture, deployment, tokens)
    expected_overhead, upper_overhead = _overhead(architecture, deployment)
    expected = MemoryBreakdown(
        weights=weights,
        cache=work.cache,
        state=state,
        buffers=work.expected + host,
        logits=logits,
        overhead=expected_overhead,
    )
    upper = MemoryBreakdown(
        weights=int(weights * (1 + _weight_slack(architecture))),
        cache=_upper_cache(architecture, deployment, tokens),
        state=state,
        buffers=work.upper + host,
        logits=logits,
        overhead=upper_overhead,
    )
    return MemoryEstimate(tokens, expected, upper)


def logits_bytes(architecture: Architecture, rows: int, element_bytes: int) -> int:
    """Logits of `rows` positions: rows * V * bytes of one.

    transformers computes them for every position unless `logits_to_keep` says otherwise, and old versions
    converted them to float32 (transformers #30860).
    """
    return rows * architecture.vocabulary * element_bytes


def _logits(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """Output rows: of llama.cpp a buffer of their own; the other engines' are in their pass."""
    if not deployment.runs_llama_cpp or not architecture.causal:
        return 0
    rows = tokens if deployment.all_logits else 1
    return llama_cpp_output_buffer(architecture, deployment.parallel * rows)


def _host_buffers(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """llama.cpp's buffer in host memory, which counts only where the host is the device."""
    if not deployment.runs_llama_cpp or deployment.device is Device.GPU:
        return 0
    return llama_cpp_host_buffer(architecture, deployment, tokens)


def _overhead(architecture: Architecture, deployment: Deployment) -> tuple[int, int]:
    if deployment.device is Device.GPU:
        return GPU_OVERHEAD
    if deployment.engine in (Engine.TRANSFORMERS, Engine.VLLM):
        return TRANSFORMERS_OVERHEAD
    tables = RUNNER_TOKEN_BYTES * architecture.vocabulary
    expected, upper = RUNNER_OVERHEAD
    return expected + tables, upper + 2 * tables


def _weight_slack(architecture: Architecture) -> float:
    """Zero for weights that were read from files; else by how rough their type is."""
    if architecture.weight_bytes is not None:
        return 0.0
    if architecture.weight_type not in FILE_TYPE_BITS or architecture.weight_type in ("f16", "q8_0"):
        return PLAIN_SLACK
    return MIXTURE_SLACK if architecture.hidden_size % 256 == 0 else FALLBACK_SLACK


def _upper_cache(architecture: Architecture, deployment: Deployment, tokens: int) -> int:
    """The cache is exact, but for one open point of llama.cpp.

    Since PR #21277 (April 2026) it is discussed to keep sliding layers at f16 when the rest is quantised:
    the upper bound takes them as f16 then.
    """
    kinds = (storage_type(deployment.key_type), storage_type(deployment.value_type))
    if not deployment.runs_llama_cpp or not any(kind.is_quantised for kind in kinds):
        return cache_bytes(architecture, deployment, tokens)
    plain = replace(deployment, key_type="f16", value_type="f16")
    return sum(
        count * layer_cache_bytes(architecture, layer, plain if layer.window else deployment, tokens)
        for layer, count in architecture.require_layers()
    )
