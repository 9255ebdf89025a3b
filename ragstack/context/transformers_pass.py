"""Peak memory of one prefill by Hugging Face transformers, from the tensors that its code keeps alive.

The formulas follow transformers 5.23 on torch 2.13 moment by moment, and are held against measured passes
(`ragstack.inspection.forward_passes`). Models that are not dense decoders get the same moments and a wider
upper bound. Standard library only.

n = tokens of one sequence, c = tokens of one prefill step, m = keys a layer reads, E = hidden size,
H = query heads, d = head dimension, F = feed-forward width, V = vocabulary, B = sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragstack.context.architectures.description import Architecture, Layer
from ragstack.context.architectures.quantization import storage_type
from ragstack.context.cache import cache_bytes, cell_bytes, transformers_cells
from ragstack.context.deployment import AttentionKernel, Deployment, Device

FLOAT32 = 4
INT64 = 8


@dataclass(frozen=True, slots=True)
class PassMemory:
    """Bytes of one prefill beyond the weights: what it should take, and what it will not exceed.

    `cache` is the key-value cache when it is done; `expected` and `upper` are buffers on top of that.
    """

    cache: int
    expected: int
    upper: int


# What a prefill may take beyond the tensors that are counted, for the upper bound: the fused kernel's tiles
# if there are more threads than the deployment says (under 1 MiB for each of 64), and a share for the
# rounding of allocators.
TRANSFORMERS_WORKSPACE = 64 * 2**20
# On a GPU that is larger: torch keeps freed blocks, and caches that grow by concatenation leave gaps.
FOLLOWED_SLACK = 1 / 50
GPU_SLACK = 1 / 10
OTHER_SLACK = 1 / 3

# The largest head that torch's fused kernels take on a GPU.
LARGEST_GPU_HEAD = 256

# Families that project queries, keys and values with one matrix.
FUSED_PROJECTION_FAMILIES = frozenset({"phi3", "gpt_neox", "gpt2", "falcon"})

# Families whose code the moments follow tensor by tensor; for the others the expected value is rough, and the
# bound above it wider.
FOLLOWED_FAMILIES = frozenset(
    {
        "llama",
        "mistral",
        "mixtral",
        "phi3",
        "qwen2",
        "qwen3",
        "qwen3_moe",
        "starcoder2",
        "gemma",
        "gemma2",
        "gemma3_text",
        "cohere2",
    }
)


def transformers_pass(architecture: Architecture, deployment: Deployment, tokens: int) -> PassMemory:
    """Peak memory of a prefill by Hugging Face transformers 5.23 on torch 2.13, beyond the weights.

    The peak is the largest, over the layers in their order, of what lives at once: the caches (those of the
    layers already passed hold this step, the others the steps before), what the model carries through all
    layers, and what the layer itself holds at one of its moments. The moments are those at which a
    large tensor is born. The last step is the largest; it is taken as a full one.
    """
    step = _Step(architecture, deployment, tokens)
    final = [step.cache(layer) for layer in architecture.layers]
    earlier = [step.cache_before(layer) for layer in architecture.layers]
    carried, later, done = step.carried(), sum(earlier), 0
    peak = 0
    for layer, now, before in zip(architecture.layers, final, earlier, strict=True):
        peak = max(peak, done + later + carried + step.before_update(layer))
        done += now
        later -= before
        peak = max(peak, done + later + carried + step.after_update(layer))
    peak = max(peak, done + step.head())
    cache = cache_bytes(architecture, deployment, tokens)
    expected = max(peak - cache, 0)
    upper = expected + int((expected + cache) * _slack(architecture, deployment)) + TRANSFORMERS_WORKSPACE
    return PassMemory(cache, expected, upper + step.unmodelled())


def _slack(architecture: Architecture, deployment: Deployment) -> float:
    if architecture.family not in FOLLOWED_FAMILIES:
        return OTHER_SLACK
    return GPU_SLACK if deployment.device is Device.GPU else FOLLOWED_SLACK


class _Step:
    """The last prefill step: sizes in bytes of everything that lives in it."""

    def __init__(self, architecture: Architecture, deployment: Deployment, tokens: int) -> None:
        self.architecture = architecture
        self.deployment = deployment
        self.tokens = tokens
        self.chunk = min(deployment.chunk or tokens, tokens)
        self.past = tokens - self.chunk
        self.batch = deployment.parallel
        self.width = storage_type(deployment.activation_type).block_bytes
        self.rows = self.batch * self.chunk

    # ------------------------------------------------------------------ sizes

    def keys(self, layer: Layer) -> int:
        """m: the keys that the layer reads in this step."""
        return transformers_cells(self.deployment, self.tokens, layer.window)

    def cache(self, layer: Layer) -> int:
        """Bytes of the layer's cache after this step."""
        return self._stored(layer, self.keys(layer))

    def cache_before(self, layer: Layer) -> int:
        """Bytes of the layer's cache before this step."""
        if not self.past:
            return 0
        cells = self.past
        if layer.window is not None:
            cells = min(self.past, layer.window - 1 + self.chunk)
        return self._stored(layer, cells)

    def _stored(self, layer: Layer, cells: int) -> int:
        if not (layer.owns_cache and layer.has_attention and self.architecture.causal):
            return 0
        return int(self.batch * cells * cell_bytes(layer, self.deployment))

    def hidden(self) -> int:
        """One tensor of hidden states: BcE."""
        return self.rows * self.architecture.hidden_size * self.width

    def scores(self, layer: Layer) -> int:
        """Number of scores of one layer: BHcm."""
        return self.rows * layer.heads * self.keys(layer)

    # ---------------------------------------------------------------- carried

    def carried(self) -> int:
        """What lives through all layers: embeddings, the layer's input, rotary tables, positions, masks."""
        return 2 * self.hidden() + self._rotary() + INT64 * self.chunk + sum(self._masks().values())

    def _rotary(self) -> int:
        """Cosines and sines, for each kind of layer that has its own: 2cd."""
        dimensions = {
            (layer.kind, layer.key_dimension) for layer in self.architecture.layers if layer.has_attention
        }
        own_tables = self.architecture.family.startswith("gemma") and self.architecture.family != "gemma2"
        kinds = dimensions if own_tables else list(dimensions)[:1]
        return sum(2 * self.chunk * dimension * self.width for _, dimension in kinds)

    def _masks(self) -> dict[int | None, int]:
        """The masks that are kept, by window: float for eager attention, boolean for fused."""
        windows = {layer.window for layer in self.architecture.layers if layer.has_attention}
        return {window: self._mask(window) for window in windows}

    def _mask(self, window: int | None) -> int:
        elements = self.chunk * transformers_cells(self.deployment, self.tokens, window)
        if self.deployment.attention is AttentionKernel.EAGER:
            return self.batch * elements * self.width if self._is_masked(window) else 0
        if self.deployment.attention is AttentionKernel.FUSED_MASK:
            return self.batch * elements
        return elements if self._is_masked(window) else 0

    def _is_masked(self, window: int | None) -> bool:
        """Whether a mask is materialised for layers of that window (transformers masking_utils.py).

        Eager attention always has one, but for encoders. The fused kernel's own causal mask suffices when
        the step starts at the first token and no window is shorter than the keys.
        """
        if self.deployment.attention is AttentionKernel.FUSED_MASK:
            return True
        if not self.architecture.causal:
            return False
        if self.deployment.attention is AttentionKernel.EAGER:
            return True
        keys = transformers_cells(self.deployment, self.tokens, window)
        return (window is not None and keys >= window) or (self.past > 0 and self.chunk > 1)

    # ---------------------------------------------------------------- moments

    def before_update(self, layer: Layer) -> int:
        """The most that lives in the layer while its cache is still that of the steps before."""
        return max(self._normalisation(), self._rotation(layer)) if layer.has_attention else 0

    def after_update(self, layer: Layer) -> int:
        """The most that lives in the layer once its cache holds this step."""
        moments = [self._kept_weights(layer) + max(self._normalisation(), self._feed_forward())]
        if layer.has_attention:
            moments += [self._cache_update(layer), self._attention(layer)]
        return max(moments)

    def _normalisation(self) -> int:
        """Root mean square in float32: a copy of the input and the product, unless it is float32 already."""
        wide = self.rows * self.architecture.hidden_size * FLOAT32
        return self.hidden() + 2 * wide

    def _feed_forward(self) -> int:
        """Residual and normalised input, and the activations: gate, value and product (3F), or as written.

        Experts take their tokens gathered, k times the hidden states for k experts a token. Their gates and
        values are one tensor of twice the width, beside it the activated gate and the product (kE + 4F);
        or later what goes in, comes out, is weighted and put back into order (4kE).
        """
        architecture = self.architecture
        wide = self.rows * architecture.feed_forward * self.width
        used = architecture.experts_used
        if used:
            return 2 * self.hidden() + max(used * self.hidden() + 4 * wide, 4 * used * self.hidden())
        return 2 * self.hidden() + architecture.feed_forward_tensors * wide

    def _kept_weights(self, layer: Layer) -> int:
        """The attention weights: eager layers bind them to a name until they return."""
        if self.deployment.attention is not AttentionKernel.EAGER or not layer.has_attention:
            return 0
        return self.scores(layer) * self.width

    def _rotation(self, layer: Layer) -> int:
        """The normalised input, keys and values, and four tensors of the queries' size.

        Those are the queries, two products and their sum in apply_rotary_pos_emb. With normalised heads in
        half precision, the queries and their two float32 copies may be larger; Gemma has projected the keys
        and values by then, the others have not.
        """
        queries = self.rows * layer.heads * layer.key_dimension
        new = self._new_keys(layer) + self._new_values(layer)
        rotated = 4 * queries * self.width + new
        if self.architecture.query_key_norm and self.width < FLOAT32:
            projected = new if self.architecture.family.startswith("gemma") else 0
            rotated = max(rotated, queries * (self.width + 2 * FLOAT32) + projected)
        return self.hidden() + rotated

    def _new_keys(self, layer: Layer) -> int:
        return self.rows * layer.kv_heads * layer.key_dimension * self.width

    def _new_values(self, layer: Layer) -> int:
        return self.rows * layer.kv_heads * layer.value_dimension * self.width

    def _queries(self, layer: Layer) -> int:
        return self.rows * layer.heads * layer.key_dimension * self.width

    def _cache_update(self, layer: Layer) -> int:
        """Concatenating the values: the old values live until the new ones do."""
        new = self._new_keys(layer) + self._new_values(layer)
        old = self.cache_before(layer) // 2
        return self.hidden() + self._queries(layer) + self._fused_projection(layer) + new + old

    def _attention(self, layer: Layer) -> int:
        """The normalised input and the queries, and what the kernel holds."""
        held = self.hidden() + self._queries(layer) + self._fused_projection(layer)
        output = self.rows * layer.heads * layer.value_dimension * self.width
        if self.deployment.attention is AttentionKernel.EAGER:
            # The scores are the peak of a long prompt; of a short one the product and its contiguous copy.
            products = self._kept_weights(layer) + 2 * output
            return held + self._repeated(layer) + max(self._eager_scores(layer), products)
        if self._falls_back(layer):
            return held + self._queries(layer) + self._repeated(layer) + self._fallback_scores(layer)
        held += output + self.rows * layer.heads * FLOAT32 + self._tiles(layer)  # and each row's logarithm
        if not self._is_masked(layer.window):
            return held
        return held + self._repeated(layer) + self._float_mask(layer)

    def _tiles(self, layer: Layer) -> int:
        """Tiles of scores, their row sums and products, for each thread (FlashAttentionKernel.cpp of torch).

        q by k scores with k = 512 keys and q = 256, 64 or 32 queries for steps from 768, from 192, or below;
        half precision keeps a copy of the scores in its own type.
        """
        if self.deployment.device is not Device.CPU:
            return 0
        queries = 256 if self.chunk >= 768 else 64 if self.chunk >= 192 else 32
        queries, keys = min(queries, self.chunk), min(512, self.keys(layer))
        elements = queries * keys + 2 * queries + queries * layer.value_dimension
        reduced = queries * keys * self.width if self.width < FLOAT32 else 0
        return self.deployment.threads * (elements * FLOAT32 + reduced)

    def _fused_projection(self, layer: Layer) -> int:
        """Queries, keys and values in one tensor, which stays while its parts are used."""
        if self.architecture.family not in FUSED_PROJECTION_FAMILIES:
            return 0
        return self._queries(layer) + self._new_keys(layer) + self._new_values(layer)

    def _float_mask(self, layer: Layer) -> int:
        """The fused kernel turns a boolean mask into one of its own type: Bcm."""
        return self.batch * self.chunk * self.keys(layer) * self.width

    def _falls_back(self, layer: Layer) -> bool:
        """Whether torch computes the layer without its fused kernel, and silently materialises the scores.

        Its kernels need keys and values of one size, on a GPU at most 256 (transformers PR #46960), and
        Falcon's single key-value head is broadcast in a way that they do not take.
        """
        if layer.key_dimension != layer.value_dimension or self.architecture.family == "falcon":
            return True
        return self.deployment.device is Device.GPU and layer.key_dimension > LARGEST_GPU_HEAD

    def _fallback_scores(self, layer: Layer) -> int:
        """Scores and softmax in float32 and one boolean, 9 bytes a score, and the mask."""
        return (2 * FLOAT32 + 1) * self.scores(layer) + self._float_mask(layer)

    def _repeated(self, layer: Layer) -> int:
        """Keys and values copied for every query head (`repeat_kv`); none without grouped heads."""
        if layer.heads == layer.kv_heads:
            return 0
        dimensions = layer.key_dimension + layer.value_dimension
        return self.batch * self.keys(layer) * layer.heads * dimensions * self.width

    def _eager_scores(self, layer: Layer) -> int:
        """Scores and their copy, in bytes for each score.

        float32: the product and its scaled (or softmaxed) copy, 4 + 4. Half precision on a CPU: the scores,
        their float32 copy and the float32 softmax, 2 + 4 + 4. On a GPU the softmax converts inside its
        kernel: 2 + 4 and then 2 for the result (by reading eager_attention_forward; not measured).
        """
        if self.width >= FLOAT32:
            each = 2 * self.width
        elif self.deployment.device is Device.CPU:
            each = self.width + 2 * FLOAT32
        else:
            each = 2 * self.width + FLOAT32
        return each * self.scores(layer)

    # ------------------------------------------------------------------- rest

    def head(self) -> int:
        """Embeddings, hidden states and their normalisation, and the logits of the last token or of all."""
        rows = self.rows if self.deployment.all_logits else self.batch
        logits = rows * self.architecture.vocabulary * self.width if self.architecture.causal else 0
        return 3 * self.hidden() + logits

    def unmodelled(self) -> int:
        """Tensors that some machines or models add, for the upper bound alone.

        Processors with matrix units repack keys and values of half precision for the fused kernel. Eager code
        that is not followed holds up to two more copies of the scores (Falcon 16 bytes a score in float32,
        GPT-NeoX 12 in half precision).
        """
        layers = [layer for layer in set(self.architecture.layers) if layer.has_attention]
        if self.deployment.attention is not AttentionKernel.EAGER:
            return max((self._packed(layer) for layer in layers), default=0)
        if self.architecture.family in FOLLOWED_FAMILIES:
            return 0
        return 2 * self.width * max((self.scores(layer) for layer in layers), default=0)

    def _packed(self, layer: Layer) -> int:
        if self.width >= FLOAT32 or self.deployment.device is not Device.CPU:
            return 0
        dimensions = layer.key_dimension + layer.value_dimension
        return self.batch * self.keys(layer) * layer.heads * dimensions * self.width
