"""The frozen description of a model's architecture that the complexity model computes on.

It holds what decides memory and time (layers, dimensions, windows, parameters) and where each value came
from. It reads no file; the builders beside it do.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from ragstack.context.architectures.quantization import weight_bytes
from ragstack.errors import ArchitectureError


class LayerKind(StrEnum):
    """Which earlier tokens a layer reads."""

    FULL = "full"  # all of them
    SLIDING = "sliding"  # the last `window`
    CHUNKED = "chunked"  # those of its own chunk of `window` tokens (Llama 4)
    RECURRENT = "recurrent"  # a state of fixed size instead of tokens; also layers without attention


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer block as memory and arithmetic see it.

    Dimensions are elements per head. `latent_dimension` is the compressed key-value vector of multi-head
    latent attention together with its rotary part (DeepSeek-V3: 512 + 64), which some engines cache instead
    of keys and values. `index_dimension` is the extra key of a sparse-attention indexer, 0 without one.
    `state_elements` are the float32 elements of recurrent state per sequence. `owns_cache` is false for a
    layer that reads the keys and values of an earlier one (Gemma 3n and 4).
    """

    kind: LayerKind
    heads: int = 0
    kv_heads: int = 0
    key_dimension: int = 0
    value_dimension: int = 0
    window: int | None = None
    latent_dimension: int = 0
    index_dimension: int = 0
    state_elements: int = 0
    owns_cache: bool = True

    @property
    def has_attention(self) -> bool:
        """True when the layer computes attention scores."""
        return self.kind is not LayerKind.RECURRENT

    def visible_tokens(self, tokens: int) -> int:
        """How many of `tokens` earlier tokens the last one can read."""
        return tokens if self.window is None else min(tokens, self.window)


@dataclass(frozen=True)
class Architecture:
    """What a model is made of.

    `feed_forward` is the width of the widest feed-forward activation of one token (all its active experts).
    `parameters` counts all of them (0: unknown); `active_parameters` only the weights that multiply one
    token on its way through the layers: no embedding table, no output head, of a mixture only the experts
    used. `weight_bytes` is exact when it was read from files or a server, else None, and then follows from
    `weight_type`. `experts` and `experts_used` are 0 for a dense model. `feed_forward_tensors`
    activations of that width live at once in a feed-forward block, and `query_key_norm` says that heads are
    normalised: both show in the peak of a forward pass.

    Windows are tokens. `trained_window` is what the model was trained on, `scaled_window` what its rotary
    scaling extends that to, `requested_window` what a server was asked for, `allocated_window` what a
    running server has really allocated for one sequence.

    `family` is the architecture's name in its own files (`model_type`, `general.architecture`), `source`
    says where the description was read, `notes` what had to be assumed. `server` is the kind of server that
    runs the model (`llama.cpp`, `ollama`, `vllm`, `openai`; empty for a file or a name), and `server_slots`
    the sequences for which it has allocated its window.
    """

    name: str
    family: str
    source: str
    layers: tuple[Layer, ...]
    hidden_size: int
    heads: int
    vocabulary: int
    feed_forward: int
    parameters: int
    active_parameters: int
    weight_type: str = "bf16"
    weight_bytes: int | None = None
    trained_window: int | None = None
    scaled_window: int | None = None
    requested_window: int | None = None
    allocated_window: int | None = None
    causal: bool = True
    experts: int = 0
    experts_used: int = 0
    feed_forward_tensors: int = 3
    query_key_norm: bool = False
    server: str = ""
    server_slots: int = 1
    notes: tuple[str, ...] = ()

    @property
    def window(self) -> int | None:
        """The tokens that one prompt and its answer may have: allocated, else requested, scaled, trained."""
        return self.allocated_window or self.requested_window or self.scaled_window or self.trained_window

    @property
    def window_reason(self) -> str:
        """Which of the four windows `window` is."""
        for name in ("allocated", "requested", "scaled", "trained"):
            if getattr(self, f"{name}_window"):
                return name
        return "unknown"

    @property
    def is_known(self) -> bool:
        """False when only a window is known, as of a server that does not describe its model."""
        return bool(self.layers)

    @cached_property
    def layer_groups(self) -> tuple[tuple[Layer, int], ...]:
        """The distinct layers, in order of first appearance, each with its number."""
        return tuple(Counter(self.layers).items())

    @property
    def stored_bytes(self) -> int:
        """Bytes of the weights in memory: exact where known, else parameters times their type."""
        if self.weight_bytes is not None:
            return self.weight_bytes
        if not self.parameters:
            raise ArchitectureError(
                f"{self.name}: the number of parameters is unknown",
                hint="name a config.json or a GGUF file instead",
            )
        return weight_bytes(self.parameters, self.weight_type)

    def quantised(self, weight_type: str) -> Architecture:
        """The same model with its weights stored as `weight_type` (`q4_k_m`, `q8_0`, `bf16` ...)."""
        weight_bytes(self.parameters, weight_type)
        return replace(self, weight_type=weight_type.lower(), weight_bytes=None)

    def require_layers(self) -> tuple[tuple[Layer, int], ...]:
        """The layer groups.

        Raises ArchitectureError when the description holds none, so that no estimate is made of nothing.
        """
        if not self.layers:
            raise ArchitectureError(
                f"{self.source} does not say what layers `{self.name}` has",
                hint="name the model's config.json or GGUF file to compute its memory",
            )
        return self.layer_groups
