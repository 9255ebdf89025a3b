"""From a Hugging Face `config.json` to an architecture: the fields, their aliases and their traps.

It reads the configuration and the folder around it; how many weights follow from the fields is `parameters`,
what the families have in common `families`, and the bytes of weight files `weight_files`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragstack.context.architectures.description import Architecture, Layer, LayerKind
from ragstack.context.architectures.families import FAMILIES, LLAMA, TEXT_FAMILIES, Family
from ragstack.context.architectures.fields import LARGEST_LAYER_COUNT, Fields
from ragstack.context.architectures.parameters import (
    Weights,
    count_weights,
    feed_forward_width,
    is_sparse_layer,
    mixture,
)
from ragstack.context.architectures.quantization import weight_bytes
from ragstack.context.architectures.weight_files import folder_weight_bytes
from ragstack.errors import ArchitectureError

# A configuration is a few kilobytes; the largest seen, with per-module quantisation lists, under 2 MiB.
LARGEST_CONFIG = 8 * 2**20

_SLIDING_NAMES = ("sliding_attention", "sliding", "local", "local_attention")
_FULL_NAMES = ("full_attention", "full", "global", "global_attention", "attention")
_LINEAR_NAMES = ("linear_attention", "mamba", "recurrent", "conv")

# Bits per weight of quantised checkpoints; scales and zero points come on top, in groups of 128 for awq/gptq.
_QUANTISED_TYPES = {"fp8": "fp8", "mxfp4": "mxfp4", "awq": "awq", "gptq": "gptq", "bitsandbytes": "int8"}


def read_config(path: Path) -> Architecture:
    """The architecture of the `config.json` at `path`; weight files beside it give exact weight bytes.

    Raises ArchitectureError when the file is no configuration or lacks a field.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_CONFIG + 1)
    except OSError as error:
        raise ArchitectureError(f"cannot read `{path}`: {error.strerror}") from error
    if len(raw) > LARGEST_CONFIG:
        raise ArchitectureError(
            f"`{path}` is too large for a configuration", hint="name a model's config.json"
        )
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ArchitectureError(
            f"`{path}` is not JSON: {error}", hint="name a model's config.json"
        ) from error
    if not isinstance(values, Mapping):
        raise ArchitectureError(f"`{path}` holds no JSON object", hint="name a model's config.json")
    described = architecture_from_config(values, name=_name(path, values), source=str(path))
    stored = folder_weight_bytes(path.parent)
    return described if stored is None else replace(described, weight_bytes=stored)


def _name(path: Path, values: Mapping[str, Any]) -> str:
    """The folder's name; in a cache, where that is a revision, the name in the file if it holds one."""
    folder = path.absolute().parent.name
    if re.fullmatch(r"[0-9a-f]{40}", folder):
        return str(values.get("_name_or_path") or folder)
    return folder or path.name


def architecture_from_config(config: Mapping[str, Any], *, name: str, source: str) -> Architecture:
    """The architecture that the parsed `config.json` describes.

    Multimodal configurations are read at their `text_config`. A family that is not in the table is read
    like Llama, with a note. Raises ArchitectureError naming the field that is missing or garbled.
    """
    if config.get("is_encoder_decoder"):
        raise ArchitectureError(
            f"{source} describes an encoder-decoder model", hint="name a decoder-only model or an encoder"
        )
    merged, model_type = _text_config(config)
    family = FAMILIES.get(model_type, LLAMA)
    fields = Fields({**family.defaults, **merged, "model_type": model_type}, source)
    layers = _layers(fields, family)
    counts = count_weights(fields, family, layers)
    trained, scaled = _windows(fields)
    experts = mixture(fields)
    weight_type = _weight_type(fields, config)
    return Architecture(
        name=name,
        family=model_type,
        source=source,
        layers=layers,
        hidden_size=fields.integer("hidden_size", "n_embd"),
        heads=fields.integer("num_attention_heads", "n_head"),
        vocabulary=fields.integer("vocab_size"),
        feed_forward=_widest_feed_forward(fields, len(layers)),
        parameters=counts.total,
        active_parameters=counts.active,
        weight_type=weight_type,
        weight_bytes=_quantised_bytes(fields, counts, weight_type),
        trained_window=trained,
        scaled_window=scaled,
        causal=family.causal,
        experts=experts.experts if experts else 0,
        experts_used=experts.used if experts else 0,
        feed_forward_tensors=family.feed_forward_tensors,
        query_key_norm=family.query_key_norm,
        notes=() if model_type in FAMILIES else (f"family `{model_type}` is not known and read like Llama",),
    )


def _text_config(config: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The part that describes the text model, and its family."""
    text = next(
        (config[key] for key in ("text_config", "llm_config") if isinstance(config.get(key), Mapping)), None
    )
    outer = str(config.get("model_type") or "unknown")
    if text is None:
        return dict(config), TEXT_FAMILIES.get(outer, outer)
    inner = str(text.get("model_type") or TEXT_FAMILIES.get(outer, outer))
    shared = {key: config[key] for key in ("tie_word_embeddings", "quantization_config") if key in config}
    return {**shared, **text}, TEXT_FAMILIES.get(inner, inner)


# --------------------------------------------------------------------------- layers


def _layers(fields: Fields, family: Family) -> tuple[Layer, ...]:
    count = fields.integer("num_hidden_layers", "n_layer", maximum=LARGEST_LAYER_COUNT)
    kinds = _layer_kinds(fields, family, count)
    shared = fields.integer("num_kv_shared_layers", default=0, minimum=0)
    layers = []
    for index, kind in enumerate(kinds):
        layer = (
            _recurrent_layer(fields) if kind is LayerKind.RECURRENT else _attention_layer(fields, kind, index)
        )
        if shared and index >= count - shared:
            layer = replace(layer, owns_cache=False)
        layers.append(layer)
    return tuple(layers)


def _layer_kinds(fields: Fields, family: Family, count: int) -> list[LayerKind]:
    """Which layers slide: by the file's own list, else by the family's pattern."""
    listed = fields.sequence("layer_types", count) if fields.get("layer_types") else None
    if listed is not None:
        kinds = [_named_kind(fields, name) for name in listed]
        if not _window_is_on(fields, family):
            kinds = [LayerKind.FULL if kind is LayerKind.SLIDING else kind for kind in kinds]
    elif fields.get("full_attention_interval") is not None:
        interval = fields.integer("full_attention_interval")
        kinds = [LayerKind.RECURRENT if (i + 1) % interval else LayerKind.FULL for i in range(count)]
    else:
        kinds = [_pattern_kind(fields, family, index) for index in range(count)]
    if fields.get("model_type") == "gemma4_text":
        kinds[-1] = LayerKind.FULL  # the class forces it, whatever the pattern says
    return kinds


def _named_kind(fields: Fields, name: Any) -> LayerKind:
    if name in _FULL_NAMES:
        return LayerKind.FULL
    if name in _SLIDING_NAMES:
        return LayerKind.SLIDING
    if name == "chunked_attention":
        return LayerKind.CHUNKED
    if name in _LINEAR_NAMES:
        return LayerKind.RECURRENT
    raise fields.garbled("layer_types", f"a list of known kinds (`{name}` is not)")


def _window_is_on(fields: Fields, family: Family) -> bool:
    """Qwen states a window that its own switch turns off: the raw number must not be trusted."""
    if family.window_when is not None and not fields.boolean(family.window_when, False):
        return False
    return fields.optional_integer("sliding_window") is not None


def _pattern_kind(fields: Fields, family: Family, index: int) -> LayerKind:
    if not _window_is_on(fields, family) or index < fields.integer("max_window_layers", default=0, minimum=0):
        return LayerKind.FULL
    period = fields.integer("sliding_window_pattern", "_sliding_window_pattern", default=family.full_every)
    return LayerKind.SLIDING if period == 1 or (index + 1) % period else LayerKind.FULL


def _attention_layer(fields: Fields, kind: LayerKind, index: int) -> Layer:
    heads = fields.integer("num_attention_heads", "n_head")
    window = None
    if kind is LayerKind.SLIDING:
        window = fields.integer("sliding_window")
    elif kind is LayerKind.CHUNKED:
        window = fields.integer("attention_chunk_size")
    if fields.get("kv_lora_rank") is not None:
        return _latent_layer(fields, kind, heads, window)
    dimension = _head_dimension(fields, kind, heads, index)
    return Layer(
        kind=kind,
        heads=heads,
        kv_heads=_kv_heads(fields, kind, heads, index),
        key_dimension=dimension,
        value_dimension=dimension,
        window=window,
    )


def _head_dimension(fields: Fields, kind: LayerKind, heads: int, index: int) -> int:
    """The explicit head dimension first; hidden size over heads only where there is none."""
    override = _layer_override(fields, index, "head_dim")
    if override is not None:
        return override
    if fields.get("model_type") == "gemma4_text" and kind is LayerKind.FULL:
        return fields.integer("global_head_dim")
    dimension = fields.optional_integer("head_dim")
    return dimension if dimension is not None else fields.integer("hidden_size", "n_embd") // heads


def _kv_heads(fields: Fields, kind: LayerKind, heads: int, index: int) -> int:
    override = _layer_override(fields, index, "num_key_value_heads")
    if override is not None:
        return override
    if fields.get("model_type") == "falcon":
        return _falcon_kv_heads(fields, heads)
    if kind is LayerKind.FULL and fields.get("attention_k_eq_v"):
        wanted = fields.optional_integer("num_global_key_value_heads")
        if wanted is not None:
            return wanted
    return fields.integer("num_key_value_heads", "num_kv_heads", default=heads)


def _falcon_kv_heads(fields: Fields, heads: int) -> int:
    if fields.boolean("new_decoder_architecture", False):
        return fields.integer("num_kv_heads", default=heads)
    return 1 if fields.boolean("multi_query", True) else heads


def _layer_override(fields: Fields, index: int, name: str) -> int | None:
    """The value of `per_layer_config` (Gemma 4), whose keys are layer numbers with or without zeros."""
    overrides = fields.mapping("per_layer_config")
    for key in (str(index), f"{index:02d}", f"{index:03d}"):
        if isinstance(overrides.get(key), Mapping):
            return Fields(overrides[key], fields.source).optional_integer(name)
    return None


def _latent_layer(fields: Fields, kind: LayerKind, heads: int, window: int | None) -> Layer:
    rotary = fields.integer("qk_rope_head_dim")
    return Layer(
        kind=kind,
        heads=heads,
        kv_heads=heads,
        key_dimension=fields.integer("qk_nope_head_dim") + rotary,
        value_dimension=fields.integer("v_head_dim"),
        window=window,
        latent_dimension=fields.integer("kv_lora_rank") + rotary,
        index_dimension=fields.integer("index_head_dim", default=0, minimum=0),
    )


def _recurrent_layer(fields: Fields) -> Layer:
    """State of a gated delta layer (llama.cpp src/llama-hparams.cpp, `n_embd_r` and `n_embd_s`).

    (kernel - 1) * (values + 2 * keys) for the convolution, key dimension * values for the recurrence.
    """
    key_dimension = fields.integer("linear_key_head_dim")
    keys = fields.integer("linear_num_key_heads") * key_dimension
    values = fields.integer("linear_num_value_heads") * fields.integer("linear_value_head_dim")
    convolution = (fields.integer("linear_conv_kernel_dim") - 1) * (values + 2 * keys)
    return Layer(kind=LayerKind.RECURRENT, state_elements=convolution + key_dimension * values)


def _widest_feed_forward(fields: Fields, count: int) -> int:
    widest = max(feed_forward_width(fields, count))
    experts = mixture(fields)
    if experts is None:
        return widest
    active = experts.used * experts.width + experts.shared_width
    if all(is_sparse_layer(fields, index) for index in range(count)):
        return active
    return max(active, widest)


# ------------------------------------------------------------------ windows and types


def _windows(fields: Fields) -> tuple[int | None, int | None]:
    """The trained window, and the window after rotary scaling where that is larger.

    The Hub says `rope_scaling`, the library now `rope_parameters`, and models with two kinds of layers nest
    one of them for each kind. `max_position_embeddings` may be the scaled window already (Llama 3.1,
    gpt-oss) or the one before scaling (Qwen2.5): the larger of the two readings holds.
    """
    trained = fields.optional_integer("max_position_embeddings", "n_positions", "seq_length", "max_seq_len")
    rope = fields.mapping("rope_scaling") or fields.mapping("rope_parameters")
    rope = next((value for key, value in rope.items() if key == "full_attention" and value), rope)
    scaling = Fields(rope, fields.source)
    factor = scaling.number("factor")
    kind = scaling.text("rope_type") or scaling.text("type")
    if trained is None or factor is None or kind not in ("linear", "dynamic", "yarn"):
        return trained, None
    original = scaling.optional_integer("original_max_position_embeddings")
    original = original or fields.optional_integer("original_max_position_embeddings") or trained
    scaled = int(original * factor)
    return trained, scaled if scaled > trained else None


def _weight_type(fields: Fields, config: Mapping[str, Any]) -> str:
    """The type that the weights are stored in, as far as a configuration can say."""
    quantised = fields.mapping("quantization_config")
    method = str(quantised.get("quant_method") or "").lower()
    if quantised.get("load_in_4bit"):
        return "int4"
    if method in _QUANTISED_TYPES:
        return _QUANTISED_TYPES[method]
    name = (
        fields.get("dtype") or fields.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype")
    )
    known = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
    return known.get(str(name).removeprefix("torch."), "bf16")


def _quantised_bytes(fields: Fields, counts: Weights, weight_type: str) -> int | None:
    """Bytes of a quantised checkpoint: only the projections shrink, of gpt-oss only the experts.

    Embeddings, head, biases and normalisations stay at two bytes. None for a plain type.
    """
    if not fields.mapping("quantization_config"):
        return None
    shrunk = counts.experts if weight_type == "mxfp4" else counts.matrices
    return weight_bytes(shrunk, weight_type) + 2 * (counts.total - shrunk)
