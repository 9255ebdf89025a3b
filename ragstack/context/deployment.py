"""How an engine runs a model: the settings that memory and time depend on beside the architecture.

A deployment is chosen by the user or read from a server; nothing here computes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from ragstack.context.architectures.description import Architecture
from ragstack.context.architectures.quantization import cache_type, storage_type
from ragstack.errors import UsageError


class Engine(StrEnum):
    """The programs whose rules for memory are known."""

    LLAMA_CPP = "llama.cpp"
    OLLAMA = "ollama"
    VLLM = "vllm"
    TRANSFORMERS = "transformers"


class AttentionKernel(StrEnum):
    """How attention is computed, which decides what is held in memory while it is."""

    EAGER = "eager"  # the scores of all heads are materialised
    FUSED = "fused"  # in tiles; a mask is materialised only where the engine cannot do without
    FUSED_MASK = "fused-mask"  # in tiles, with a materialised mask for every layer, as padding forces


class Device(StrEnum):
    """Where weights, cache and buffers live."""

    CPU = "cpu"
    GPU = "gpu"


class Regime(StrEnum):
    """The four ways in which attention takes memory, as a user names them."""

    EAGER = "eager"  # all scores of the whole prompt: n^2 for each head
    EAGER_CHUNKED = "eager-chunked"  # all scores of one step at a time
    FUSED_MASK = "fused-mask"  # no scores, but a mask of n^2, whatever the number of heads
    FUSED = "fused"  # neither


_KERNELS = {
    Regime.EAGER: AttentionKernel.EAGER,
    Regime.EAGER_CHUNKED: AttentionKernel.EAGER,
    Regime.FUSED_MASK: AttentionKernel.FUSED_MASK,
    Regime.FUSED: AttentionKernel.FUSED,
}

# What `--cache-type-k` of llama.cpp, `--kv-cache-dtype` of vLLM and a DynamicCache of transformers take.
_LLAMA_CPP_CACHES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
_ENGINE_CACHES: Mapping[Engine, tuple[str, ...]] = {
    Engine.LLAMA_CPP: _LLAMA_CPP_CACHES,
    Engine.OLLAMA: _LLAMA_CPP_CACHES,
    Engine.VLLM: ("f16", "bf16", "fp8", "int8"),
    Engine.TRANSFORMERS: ("f32", "f16", "bf16"),
}

# Tokens of one step of a prompt that transformers is told to read in steps.
CHUNK = 512

# Tokens of one physical prefill step where the user sets none: llama.cpp `n_ubatch`, vLLM
# `max_num_batched_tokens` of its API server. transformers takes a prompt whole.
_USUAL_CHUNKS = {Engine.LLAMA_CPP: 512, Engine.OLLAMA: 512, Engine.VLLM: 8_192}

# Steps in which an engine allocates its window: llama.cpp pads its cache to 256 cells (always since late
# 2025), vLLM allocates blocks of 16 tokens.
_GRANULARITIES = {Engine.LLAMA_CPP: 256, Engine.OLLAMA: 256, Engine.VLLM: 16, Engine.TRANSFORMERS: 1}


@dataclass(frozen=True)
class Deployment:
    """The settings of one engine.

    `key_type` and `value_type` are the types of the key-value cache, `activation_type` that of everything
    computed on the way (transformers; it keeps its cache in that type too). `chunk` is the largest number
    of tokens in one prefill step; None: the whole prompt at once (transformers only). `parallel` sequences
    are served at a time; with `shared_cache` they share one pool of cells (llama.cpp `--kv-unified`).
    `all_logits` asks for the logits of every position instead of the last. `full_window_cache` keeps all
    tokens in sliding layers too (llama.cpp `--swa-full`, vLLM without its hybrid cache manager).
    `tensor_parallel` GPUs share every layer's heads (vLLM); estimates are then for one of them. `threads`
    of a CPU each keep tiles of scores in torch's fused kernel, under 1 MiB (transformers).
    """

    engine: Engine = Engine.LLAMA_CPP
    attention: AttentionKernel = AttentionKernel.FUSED
    key_type: str = "f16"
    value_type: str = "f16"
    activation_type: str = "f16"
    chunk: int | None = 512
    parallel: int = 1
    shared_cache: bool = False
    all_logits: bool = False
    full_window_cache: bool = False
    tensor_parallel: int = 1
    threads: int = 1
    device: Device = Device.GPU

    def __post_init__(self) -> None:
        cache_type(self.key_type)
        cache_type(self.value_type)
        storage_type(self.activation_type)
        for name in ("parallel", "tensor_parallel", "threads"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"`{name.replace('_', ' ')}` is {getattr(self, name)}, but must be at least 1"
                )
        if self.chunk is not None and self.chunk < 1:
            raise UsageError(f"a prefill step of {self.chunk} tokens makes no progress")
        if self.chunk is None and self.engine is not Engine.TRANSFORMERS:
            raise UsageError(f"{self.engine} reads a prompt in steps", hint="give the tokens of one step")
        if storage_type(self.value_type).is_quantised and self.attention is AttentionKernel.EAGER:
            raise UsageError(
                f"a value cache of type {self.value_type} needs fused attention",
                hint="use `--attention fused`, or a value type of f16",
            )

    @property
    def granularity(self) -> int:
        """Windows are multiples of this many tokens."""
        return _GRANULARITIES[self.engine]

    @property
    def runs_llama_cpp(self) -> bool:
        """True for llama.cpp and for Ollama, which runs it."""
        return self.engine in (Engine.LLAMA_CPP, Engine.OLLAMA)

    def with_cache_type(self, name: str) -> Deployment:
        """The same with keys and values of type `name`; `K/V` sets them apart, as in `q8_0/f16`."""
        key, _, value = name.partition("/")
        return replace(self, key_type=cache_type(key).name, value_type=cache_type(value or key).name)


def deployment_for(
    engine: Engine | str, *, activation_type: str | None = None, device: Device = Device.GPU
) -> Deployment:
    """The usual settings of `engine`: its own chunk, a cache of its activations' type, fused attention.

    transformers computes and caches in `activation_type`, usually the type of the weights; None: bf16.
    Raises UsageError for an engine that is not known.
    """
    try:
        engine = Engine(engine)
    except ValueError as error:
        known = ", ".join(f"`{name}`" for name in Engine)
        raise UsageError(
            f"`{engine}` is no engine that ragstack knows", hint=f"use one of {known}"
        ) from error
    kind = activation_type or ("bf16" if engine is Engine.TRANSFORMERS else "f16")
    cached = kind if engine is Engine.TRANSFORMERS else "f16"
    return Deployment(
        engine=engine,
        key_type=cached,
        value_type=cached,
        activation_type=kind,
        chunk=_USUAL_CHUNKS.get(engine),
        device=device,
    )


def planned_deployment(
    engine: Engine | str,
    *,
    regime: Regime = Regime.FUSED,
    cache_type: str | None = None,
    parallel: int = 1,
    activation_type: str | None = None,
    device: Device = Device.GPU,
) -> Deployment:
    """The usual settings of `engine`, with what a user sets; `cache_type` may be two, as in `q8_0/f16`.

    llama.cpp and Ollama always read a prompt in steps, so that `eager` means the same as `eager-chunked`
    there; transformers caches what it computes, so that a cache type is also the type it computes in.
    Raises UsageError for what the engine cannot do.
    """
    plain = deployment_for(engine, activation_type=activation_type, device=device)
    if plain.engine is Engine.VLLM and regime is not Regime.FUSED:
        raise UsageError("vllm has fused attention alone", hint="leave `--attention` out, or use `fused`")
    if cache_type is not None:
        plain = _with_cache(plain, cache_type)
    chunk = plain.chunk
    if plain.engine is Engine.TRANSFORMERS and regime is Regime.EAGER_CHUNKED:
        chunk = CHUNK
    return replace(plain, attention=_KERNELS[regime], chunk=chunk, parallel=parallel)


def _with_cache(plain: Deployment, name: str) -> Deployment:
    cached = plain.with_cache_type(name)
    taken = _ENGINE_CACHES[plain.engine]
    for kind in (cached.key_type, cached.value_type):
        if kind not in taken:
            raise UsageError(
                f"{plain.engine} keeps no cache of type {kind}", hint=f"use one of {', '.join(taken)}"
            )
    if plain.engine is not Engine.TRANSFORMERS:
        return cached
    if cached.key_type != cached.value_type:
        raise UsageError("transformers caches keys and values in one type", hint="give `--kv-type` one type")
    return replace(cached, activation_type=cached.key_type)


def regime_of(deployment: Deployment) -> str:
    """The deployment's attention in words: `fused`, `eager in steps of 512 tokens`."""
    if deployment.attention is AttentionKernel.EAGER and deployment.chunk is not None:
        return f"eager in steps of {deployment.chunk:,} tokens"
    return str(deployment.attention)


def usual_engine(architecture: Architecture) -> tuple[Engine, str]:
    """The engine that is likely to run the model, and why."""
    if architecture.server in ("llama.cpp", "ollama", "vllm"):
        return Engine(architecture.server), "the server's own"
    if architecture.server:
        return Engine.VLLM, "assumed of an OpenAI-compatible server"
    if architecture.source.endswith("config.json") and not architecture.source.startswith("https://"):
        return Engine.TRANSFORMERS, "usual for a config.json"
    if architecture.source.endswith(".gguf"):
        return Engine.LLAMA_CPP, "usual for a GGUF file"
    return Engine.LLAMA_CPP, "usual for a model known by name"
