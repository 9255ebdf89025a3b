"""From GGUF metadata to an architecture: the keys, the per-architecture patterns and their traps.

The same metadata come from a file (`gguf`) and from an Ollama server (`servers`); this module reads neither.
Keys and rules: llama.cpp's llama-arch.cpp, llama-model.cpp (`load_hparams`) and llama-hparams.cpp.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragstack.context.architectures.description import Architecture, Layer, LayerKind
from ragstack.context.architectures.fields import LARGEST_LAYER_COUNT, Fields
from ragstack.context.architectures.gguf import Skipped, Tensor, read_all_shards
from ragstack.errors import ArchitectureError

# Architectures whose window llama.cpp honours: (period, whether the full layer comes first in a period).
# Others (llama, mistral, phi3, qwen2 ...) may state a window; llama.cpp reads it and attends to everything.
_SLIDING_PATTERNS = {
    "gemma2": (2, False),
    "gemma3": (6, False),
    "gemma3n": (5, False),
    "gemma4": (6, False),
    "gemma-embedding": (6, False),
    "cohere2": (4, False),
    "gpt-oss": (2, False),
    "exaone4": (4, False),
    "olmo2": (4, False),
    "smallthinker": (4, True),
    "laguna": (4, True),
}
_CHUNKED_PATTERNS = {"llama4": (4, 8_192)}

# Every layer is recurrent; or all but each fourth, unless `full_attention_interval` says otherwise.
_ALL_RECURRENT = ("mamba", "mamba2", "rwkv6", "rwkv7", "rwkv6qwen2", "arwkv7")
_INTERVAL_RECURRENT = ("qwen3next", "qwen35", "qwen35moe")
_RECURRENT_AND_ATTENTION = ("falcon-h1",)

_ENCODERS = (
    "bert",
    "nomic-bert",
    "nomic-bert-moe",
    "jina-bert-v2",
    "jina-bert-v3",
    "neo-bert",
    "modern-bert",
)

# Tables and heads that do not multiply every token in every layer.
_OUTSIDE_LAYERS = ("token_embd", "output.", "position_embd", "token_types", "per_layer_token_embd", "cls")


def read_gguf(path: Path) -> Architecture:
    """The architecture of a GGUF file, or of all parts of a split one, with exact weight bytes."""
    shards = read_all_shards(path)
    tensors = tuple(tensor for shard in shards for tensor in shard.tensors)
    described = architecture_from_metadata(shards[0].metadata, tensors, name=path.stem, source=str(path))
    if not tensors:  # a file of the vocabulary alone says nothing of the weights
        return described
    return replace(described, weight_bytes=sum(shard.weight_bytes for shard in shards))


def architecture_from_metadata(
    metadata: Mapping[str, Any], tensors: Sequence[Tensor], *, name: str, source: str
) -> Architecture:
    """The architecture that GGUF `metadata` describe; `tensors` may be empty, as from a server.

    Raises ArchitectureError naming the key that is missing or garbled.
    """
    family = Fields(metadata, source).text("general.architecture")
    if not family:
        raise Fields(metadata, source).missing("general.architecture")
    if family in ("t5", "t5encoder", "clip", "mmproj"):
        raise ArchitectureError(
            f"{source} is a `{family}` file", hint="name the file of a decoder-only language model"
        )
    fields = Fields(metadata, source, prefix=f"{family}.")
    layers = _layers(fields, family, tensors)
    trained, scaled = _windows(fields)
    experts = fields.integer("expert_count", default=0, minimum=0)
    used = fields.integer("expert_used_count", default=0, minimum=0)
    parameters = sum(tensor.elements for tensor in tensors)
    if not parameters:
        parameters = Fields(metadata, source).integer("general.parameter_count", default=0, minimum=0)
    return Architecture(
        name=Fields(metadata, source).text("general.name") or name,
        family=family,
        source=source,
        layers=layers,
        hidden_size=fields.integer("embedding_length"),
        heads=max(_heads(fields, len(layers))),
        vocabulary=_vocabulary(metadata, fields, tensors),
        feed_forward=_feed_forward(fields, used),
        parameters=parameters,
        active_parameters=_active_parameters(tensors, experts, used) or parameters,
        weight_type=_main_type(tensors),
        trained_window=trained,
        scaled_window=scaled,
        causal=fields.boolean("attention.causal", family not in _ENCODERS),
        experts=experts,
        experts_used=used,
        notes=_notes(fields, family),
    )


# --------------------------------------------------------------------------- layers


def _layers(fields: Fields, family: str, tensors: Sequence[Tensor]) -> tuple[Layer, ...]:
    blocks = fields.integer("block_count", maximum=LARGEST_LAYER_COUNT)
    count = blocks - fields.integer("nextn_predict_layers", default=0, minimum=0)
    if count < 1:
        raise fields.garbled("nextn_predict_layers", f"less than the {blocks} blocks")
    kinds = _kinds(fields, family, count, blocks)
    shared = fields.integer("attention.shared_kv_layers", default=0, minimum=0)
    layers = []
    for index, kind in enumerate(kinds):
        layer = _layer(fields, family, kind, index, blocks)
        if _has_index(fields, tensors, index):
            layer = replace(layer, index_dimension=fields.integer("attention.indexer.key_length"))
        if shared and index >= count - shared:
            layer = replace(layer, owns_cache=False)
        layers.append(layer)
    return tuple(layers)


def _kinds(fields: Fields, family: str, count: int, blocks: int) -> list[LayerKind]:
    if family in _ALL_RECURRENT:
        return [LayerKind.RECURRENT] * count
    if family in _INTERVAL_RECURRENT:
        interval = fields.integer("full_attention_interval", default=4)
        return [LayerKind.RECURRENT if (i + 1) % interval else LayerKind.FULL for i in range(count)]
    if family in _CHUNKED_PATTERNS:
        period, _ = _CHUNKED_PATTERNS[family]
        return [LayerKind.CHUNKED if (i + 1) % period else LayerKind.FULL for i in range(count)]
    slides = _sliding(fields, family, blocks)
    kv_heads = _kv_heads(fields, blocks)
    return [
        LayerKind.RECURRENT if not kv_heads[i] else LayerKind.SLIDING if slides[i] else LayerKind.FULL
        for i in range(count)
    ]


def _sliding(fields: Fields, family: str, count: int) -> tuple[bool, ...]:
    """Which layers slide: by the file's list, else by its period or the architecture's own."""
    window = fields.optional_integer("attention.sliding_window", minimum=0)
    listed = fields.sequence("attention.sliding_window_pattern", count)
    if not window:
        return (False,) * count
    if listed is not None:
        return tuple(bool(value) for value in listed)
    if family not in _SLIDING_PATTERNS:
        return (False,) * count
    usual, full_first = _SLIDING_PATTERNS[family]
    period = fields.integer("attention.sliding_window_pattern", default=usual)
    return tuple(bool(i % period) if full_first else i % period < period - 1 for i in range(count))


def _heads(fields: Fields, count: int) -> tuple[int, ...]:
    blocks = fields.integer("block_count")
    heads = fields.per_layer("attention.head_count", blocks)
    if heads is None:
        if isinstance(fields.get("attention.head_count"), Skipped | list):
            raise fields.garbled("attention.head_count", "a number")
        return (0,) * count
    return heads


def _kv_heads(fields: Fields, blocks: int) -> tuple[int, ...]:
    """Key-value heads of every layer; as many as query heads when the key is absent."""
    found = fields.per_layer("attention.head_count_kv", blocks)
    heads = found or fields.per_layer("attention.head_count", blocks)
    if heads is None:
        raise fields.missing("attention.head_count")
    return heads


def _layer(fields: Fields, family: str, kind: LayerKind, index: int, blocks: int) -> Layer:
    if kind is LayerKind.RECURRENT:
        return Layer(kind=kind, state_elements=_state_elements(fields))
    heads = max(1, _heads(fields, blocks)[index])
    window = None
    if kind is LayerKind.SLIDING:
        window = fields.integer("attention.sliding_window")
    elif kind is LayerKind.CHUNKED:
        window = fields.optional_integer("attention.sliding_window") or _CHUNKED_PATTERNS[family][1]
    suffix = "_swa" if kind is LayerKind.SLIDING else ""
    usual = fields.integer("embedding_length") // heads
    layer = Layer(
        kind=kind,
        heads=heads,
        kv_heads=_kv_heads(fields, blocks)[index],
        key_dimension=fields.integer(f"attention.key_length{suffix}", "attention.key_length", default=usual),
        value_dimension=fields.integer(
            f"attention.value_length{suffix}", "attention.value_length", default=usual
        ),
        window=window,
        state_elements=_state_elements(fields) if family in _RECURRENT_AND_ATTENTION else 0,
    )
    return _latent(fields, layer)


def _latent(fields: Fields, layer: Layer) -> Layer:
    """Multi-head latent attention, if the file was converted for it.

    Then `key_length` is the latent's and `key_length_mla` a head's. Older conversions lack the latter and
    run with expanded keys and values, which their `key_length` and `head_count_kv` describe truly.
    """
    key = fields.optional_integer("attention.key_length_mla")
    if key is None or fields.get("attention.kv_lora_rank") is None:
        return layer
    rotary = fields.integer("rope.dimension_count", default=64)
    return replace(
        layer,
        kv_heads=layer.heads,
        key_dimension=key,
        value_dimension=fields.integer("attention.value_length_mla"),
        latent_dimension=fields.integer("attention.kv_lora_rank") + rotary,
    )


def _has_index(fields: Fields, tensors: Sequence[Tensor], index: int) -> bool:
    if fields.get("attention.indexer.key_length") is None:
        return False
    return not tensors or any(tensor.name.startswith(f"blk.{index}.indexer.") for tensor in tensors)


def _state_elements(fields: Fields) -> int:
    """Float32 elements of recurrent state per sequence (llama-hparams.cpp, `n_embd_r` + `n_embd_s`)."""
    hidden = fields.integer("embedding_length")
    head_size = fields.optional_integer("wkv.head_size")
    if head_size:
        shifts = fields.integer("token_shift_count", default=2)
        return shifts * hidden + hidden * head_size
    cached = fields.optional_integer("shortconv.l_cache")
    if cached:
        return hidden * (cached - 1)
    inner = fields.integer("ssm.inner_size", default=0, minimum=0)
    state = fields.integer("ssm.state_size", default=0, minimum=0)
    kernel = fields.integer("ssm.conv_kernel", default=1)
    groups = fields.integer("ssm.group_count", default=0, minimum=0)
    return (kernel - 1) * (inner + 2 * groups * state) + state * inner


# ------------------------------------------------------------------ everything else


def _windows(fields: Fields) -> tuple[int | None, int | None]:
    """The trained window and, where the file asks for rotary scaling beyond it, the scaled one."""
    trained = fields.optional_integer("context_length")
    factor = fields.number("rope.scaling.factor")
    original = fields.optional_integer("rope.scaling.original_context_length")
    if trained is None or not factor or not original:
        return trained, None
    scaled = int(original * factor)
    return trained, scaled if scaled > trained else None


def _vocabulary(metadata: Mapping[str, Any], fields: Fields, tensors: Sequence[Tensor]) -> int:
    listed = metadata.get("tokenizer.ggml.tokens")
    if isinstance(listed, Skipped):
        return listed.length
    if isinstance(listed, Sequence) and not isinstance(listed, str) and listed:
        return len(listed)
    for tensor in tensors:
        if tensor.name == "token_embd.weight" and len(tensor.shape) == 2:
            return tensor.shape[1]
    return fields.integer("vocab_size")


def _feed_forward(fields: Fields, experts_used: int) -> int:
    """The widest activation: the dense width, or that of all experts that serve one token."""
    blocks = fields.integer("block_count")
    dense = max(fields.per_layer("feed_forward_length", blocks) or (0,))
    one = fields.integer("expert_feed_forward_length", default=0, minimum=0)
    shared = fields.integer("expert_shared_feed_forward_length", default=0, minimum=0)
    if not experts_used:
        return dense
    return max(dense if not one else 0, experts_used * (one or dense) + shared)


def _active_parameters(tensors: Sequence[Tensor], experts: int, used: int) -> int:
    """Weights that multiply each token: matrices inside the layers, of experts the share that is used."""
    total = 0
    for tensor in tensors:
        if len(tensor.shape) < 2 or tensor.name.startswith(_OUTSIDE_LAYERS):
            continue
        if "_exps" in tensor.name and experts:
            total += tensor.elements * used // experts
        else:
            total += tensor.elements
    return total


def _main_type(tensors: Sequence[Tensor]) -> str:
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        sizes[tensor.type_name] += tensor.bytes
    return sizes.most_common(1)[0][0] if sizes else "f16"


def _notes(fields: Fields, family: str) -> tuple[str, ...]:
    window = fields.optional_integer("attention.sliding_window", minimum=0)
    known = family in _SLIDING_PATTERNS or family in _CHUNKED_PATTERNS
    if window and not known and fields.get("attention.sliding_window_pattern") is None:
        return (f"the window of {window:,} tokens is charged in full: llama.cpp ignores it for `{family}`",)
    return ()
