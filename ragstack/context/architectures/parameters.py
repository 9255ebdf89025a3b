"""How many weights a Hugging Face configuration describes, and how many of them multiply each token.

Counting follows the modules of transformers 5.23 one for one, so that totals equal
`sum(p.numel() for p in model.parameters())`. Where weights are at hand their headers are exact and cheaper;
this serves the case that there is only a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragstack.context.architectures.description import Layer, LayerKind
from ragstack.context.architectures.families import Family
from ragstack.context.architectures.fields import Fields


@dataclass(frozen=True, slots=True)
class Weights:
    """Counts of weights.

    `total` of them, of which `active` multiply every token. `matrices` are those of the projections inside
    layers and `experts` those of routed experts among them: the parts that quantised checkpoints shrink.
    """

    total: int = 0
    active: int = 0
    matrices: int = 0
    experts: int = 0

    def __add__(self, other: Weights) -> Weights:
        return Weights(
            self.total + other.total,
            self.active + other.active,
            self.matrices + other.matrices,
            self.experts + other.experts,
        )


def matrices(count: int) -> Weights:
    """Weights that every token is multiplied with."""
    return Weights(count, count, count)


def vectors(count: int) -> Weights:
    """Biases, normalisations and look-up tables: they are stored, but cost no matrix product."""
    return Weights(count)


@dataclass(frozen=True, slots=True)
class Mixture:
    """The mixture of experts of one layer: how many there are, how many serve a token, how wide they are."""

    experts: int
    used: int
    width: int
    shared_width: int = 0
    shared_gate: bool = False


def mixture(fields: Fields) -> Mixture | None:
    """The mixture of experts that a configuration describes, None for a dense model."""
    experts = fields.optional_integer("num_local_experts", "n_routed_experts", "num_experts", minimum=0)
    if not experts or (fields.get("enable_moe_block") is False):
        return None
    width = fields.integer("moe_intermediate_size", "intermediate_size")
    shared = fields.optional_integer("shared_expert_intermediate_size", minimum=0)
    if shared is None:
        shared = (fields.optional_integer("n_shared_experts", minimum=0) or 0) * width
    return Mixture(
        experts=experts,
        used=fields.integer("num_experts_per_tok", "top_k_experts"),
        width=width,
        shared_width=shared,
        shared_gate=fields.get("shared_expert_intermediate_size") is not None,
    )


def is_sparse_layer(fields: Fields, index: int) -> bool:
    """Whether layer `index` of a mixture model has experts, by the three rules that exist."""
    if index < fields.integer("first_k_dense_replace", default=0, minimum=0):
        return False
    only_dense = fields.get("mlp_only_layers") or ()
    step = fields.integer("decoder_sparse_step", default=1)
    return index not in only_dense and (index + 1) % step == 0


def _has_bias(fields: Fields, switch: str, usual: bool) -> bool:
    """Whether projections have biases: a family's habit, which a file may add to or switch off."""
    return fields.boolean("use_bias", usual or fields.boolean(switch, False))


def attention_weights(fields: Fields, family: Family, hidden: int, layer: Layer) -> Weights:
    """The projections, biases and head normalisations of one attention layer."""
    query, output = layer.heads * layer.key_dimension, layer.heads * layer.value_dimension
    key, value = layer.kv_heads * layer.key_dimension, layer.kv_heads * layer.value_dimension
    if fields.get("model_type") == "qwen3_next":
        query *= 2  # the query projection also yields the output gate
    if not layer.owns_cache:
        key = value = 0  # Gemma 3n and 4 give a layer that reads another's cache no projections of its own
    if fields.get("attention_k_eq_v") and layer.kind is LayerKind.FULL:
        value = 0
    counts = matrices(hidden * (query + key + value) + output * hidden)
    if _has_bias(fields, "attention_bias", family.query_bias):
        counts += vectors(query + key + value)
    if _has_bias(fields, "attention_bias", family.output_bias):
        counts += vectors(hidden)
    if family.query_key_norm:
        counts += vectors(layer.key_dimension * (2 if key else 1))
    if family.attention_sinks:
        counts += vectors(layer.heads)
    return counts


def latent_attention_weights(fields: Fields, hidden: int, layer: Layer) -> Weights:
    """Multi-head latent attention (DeepSeek-V2, section 2.1): low-rank queries and key-values."""
    query = layer.heads * layer.key_dimension
    rank = fields.integer("kv_lora_rank")
    query_rank = fields.optional_integer("q_lora_rank")
    expanded = fields.integer("qk_nope_head_dim") + layer.value_dimension
    counts = matrices(hidden * layer.latent_dimension + rank * layer.heads * expanded) + vectors(rank)
    counts += matrices(layer.heads * layer.value_dimension * hidden)
    if query_rank is None:
        return counts + matrices(hidden * query)
    return counts + matrices(hidden * query_rank + query_rank * query) + vectors(query_rank)


def linear_attention_weights(fields: Fields, hidden: int) -> Weights:
    """The gated delta rule of Qwen3-Next: projections, a short convolution, decay and normalisation."""
    value_heads = fields.integer("linear_num_value_heads")
    value_dimension = fields.integer("linear_value_head_dim")
    key = fields.integer("linear_num_key_heads") * fields.integer("linear_key_head_dim")
    value = value_heads * value_dimension
    convolution = (2 * key + value) * fields.integer("linear_conv_kernel_dim")
    projections = hidden * (2 * key + 2 * value) + hidden * 2 * value_heads + value * hidden
    return matrices(projections) + vectors(convolution + 2 * value_heads + value_dimension)


def dense_weights(fields: Fields, family: Family, hidden: int, width: int) -> Weights:
    """A feed-forward block of the given width: three matrices with a gate, else two."""
    counts = matrices((3 if family.gated else 2) * hidden * width)
    if _has_bias(fields, "mlp_bias", family.feed_forward_bias):
        counts += vectors(width * (2 if family.gated else 1) + hidden)
    return counts


def mixture_weights(family: Family, hidden: int, experts: Mixture) -> Weights:
    """A router, its experts and the experts shared by all tokens."""
    one = 3 * hidden * experts.width
    stored = one * experts.experts
    counts = matrices(hidden * experts.experts) + Weights(stored, one * experts.used, stored, stored)
    counts += matrices(3 * hidden * experts.shared_width)
    if experts.shared_gate:
        counts += matrices(hidden)
    if family.expert_bias:
        counts += vectors(experts.experts * (1 + 2 * experts.width + hidden))
    return counts


def feed_forward_width(fields: Fields, layers: int) -> tuple[int, ...]:
    """The width of the dense feed-forward of every layer; most models have one width for all."""
    hidden = fields.integer("hidden_size", "n_embd")
    names = ("intermediate_size", "ffn_hidden_size", "n_inner")
    listed = fields.per_layer("intermediate_size", layers, minimum=1)
    if listed is not None:
        return listed
    return (fields.integer(*names, default=4 * hidden),) * layers


def _layer_weights(fields: Fields, family: Family, index: int, layer: Layer, width: int) -> Weights:
    hidden = fields.integer("hidden_size", "n_embd")
    if layer.kind is LayerKind.RECURRENT:
        counts = linear_attention_weights(fields, hidden)
    elif layer.latent_dimension:
        counts = latent_attention_weights(fields, hidden, layer)
    else:
        counts = attention_weights(fields, family, hidden, layer)
    experts = mixture(fields)
    gemma4 = fields.get("model_type") == "gemma4_text"
    sparse = experts is not None and is_sparse_layer(fields, index)
    if experts is not None and sparse:
        counts += mixture_weights(family, hidden, experts)
    if not sparse or gemma4:  # Gemma 4 adds its experts to the dense block instead of replacing it
        counts += dense_weights(fields, family, hidden, width)
    if gemma4 and experts is not None:
        counts += vectors(3 * hidden + hidden + experts.experts)
    norms = _norms(fields, family)
    return counts + vectors(norms * hidden * (2 if family.norm_bias else 1)) + _gemma_extras(fields, hidden)


def _norms(fields: Fields, family: Family) -> int:
    if fields.get("model_type") != "falcon":
        return family.norms
    new = fields.boolean("new_decoder_architecture", False)
    default = 2 if new or not fields.boolean("parallel_attn", True) else 1
    return fields.integer("num_ln_in_parallel_attn", default=default) if new else default


def _gemma_extras(fields: Fields, hidden: int) -> Weights:
    """Per-layer inputs of Gemma 3n and 4; alternating updates and the low-rank residual of Gemma 3n."""
    counts = Weights()
    if fields.get("model_type") not in ("gemma3n_text", "gemma4_text"):
        return counts
    per_layer = fields.integer("hidden_size_per_layer_input", default=0, minimum=0)
    if per_layer:
        counts += matrices(2 * hidden * per_layer) + vectors(hidden)
    if fields.get("model_type") == "gemma3n_text":
        streams, rank = fields.integer("altup_num_inputs"), fields.integer("laurel_rank")
        counts += matrices(streams**2 + streams**3 + streams * hidden) + vectors(2 * hidden)
        counts += matrices(2 * hidden * rank) + vectors(hidden)
    return counts


def _outside_layers(fields: Fields, family: Family, layers: int) -> Weights:
    """Embedding tables, the last normalisation, the output head, and what Gemma 3n and 4 keep beside."""
    hidden, vocabulary = fields.integer("hidden_size", "n_embd"), fields.integer("vocab_size")
    counts = vectors(vocabulary * hidden)
    if not fields.boolean("tie_word_embeddings", family.tied):
        counts += vectors(vocabulary * hidden)
    if family.head_bias:
        counts += vectors(vocabulary)
    if fields.get("model_type") in ("gpt2", "bert"):
        counts += vectors(fields.integer("max_position_embeddings", "n_positions") * hidden)
    if not family.causal:
        tokens = fields.integer("type_vocab_size", default=2, minimum=0)
        return counts + vectors(tokens * hidden + 2 * hidden + hidden * hidden + hidden)
    counts += vectors(hidden * (2 if family.norm_bias else 1))
    per_layer = fields.integer("hidden_size_per_layer_input", default=0, minimum=0)
    if per_layer and fields.get("model_type") in ("gemma3n_text", "gemma4_text"):
        table = fields.integer("vocab_size_per_layer_input") * layers * per_layer
        counts += vectors(table + per_layer) + matrices(layers * per_layer * hidden)
    if fields.get("model_type") == "gemma3n_text":
        counts += matrices(2 * (fields.integer("altup_num_inputs") - 1) * hidden * hidden)
    return counts


def count_weights(fields: Fields, family: Family, layers: tuple[Layer, ...]) -> Weights:
    """All weights of the model that `fields` configures, whose layers are `layers`."""
    counts = _outside_layers(fields, family, len(layers))
    widths = feed_forward_width(fields, len(layers))
    first_shared = next((i for i, layer in enumerate(layers) if not layer.owns_cache), len(layers))
    for index, (layer, width) in enumerate(zip(layers, widths, strict=True)):
        doubled = index >= first_shared and fields.boolean("use_double_wide_mlp", False)
        counts += _layer_weights(fields, family, index, layer, 2 * width if doubled else width)
    return counts
