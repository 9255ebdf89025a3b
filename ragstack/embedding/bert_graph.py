"""Builds the OpenVINO graph of a BERT with mean pooling from its weights, without torch.

For these models, the default one among them, the first use is then as quick as every other. The layers are
those of Devlin et al. 2019 (https://arxiv.org/abs/1810.04805) under the names that transformers gives their
weights. Whether the graph gives the right vectors is checked by `compiled`, as for every other graph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ragstack.embedding.description import ModelDescription
from ragstack.embedding.openvino_runtime import load_openvino, without_reports

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.generic]]

# The sums of masks are counts; this only keeps a text without pooled tokens from dividing by zero, as
# sentence-transformers does.
_SMALLEST_SUM = 1e-9


def is_plain_bert(description: ModelDescription) -> bool:
    """Whether the model is a BERT encoder with mean pooling in one weight file, without variations."""
    config = description.config
    kinds = [module.kind for module in description.modules]
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
        and kinds in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and description.pooling == "mean"
        and len(description.weight_files) == 1
    )


def build_bert(description: ModelDescription) -> Any:
    """The OpenVINO model with the inputs ids, mask and pooled mask; KeyError if a weight is missing."""
    from safetensors.numpy import load_file

    weights = load_file(description.folder / description.weight_files[0])
    return _Builder(description.config, weights).model()


class _Builder:
    """The operations of one model; `h` in shapes is the hidden size, `b` texts, `n` tokens."""

    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        with without_reports():
            from openvino import opset13
        self._ops: Any = opset13
        self._weights = weights
        self._heads = int(config["num_attention_heads"])
        self._head_size = int(config["hidden_size"]) // self._heads
        self._layers = int(config["num_hidden_layers"])
        self._epsilon = float(config["layer_norm_eps"])

    def model(self) -> Any:
        """The whole of it: embeddings, layers, mean over the pooled tokens."""
        ops = self._ops
        ids, mask, pooled = (ops.parameter([-1, -1], np.int64, name) for name in ("ids", "mask", "pooled"))
        hidden = self._embeddings(ids)
        # True where attention may look, of shape (b, 1, 1, n).
        seen = ops.unsqueeze(ops.convert(mask, "boolean"), [1, 2])
        for number in range(self._layers):
            hidden = self._layer(hidden, seen, f"encoder.layer.{number}.")
        return load_openvino().Model([self._mean(hidden, pooled)], [ids, mask, pooled], "bert")

    def _embeddings(self, ids: Any) -> Any:
        ops = self._ops
        words = ops.gather(self._weight("embeddings.word_embeddings.weight"), ids, 0)
        length = ops.gather(ops.shape_of(ids), 1, 0)
        positions = ops.range(np.int64(0), length, np.int64(1), "i64")
        places = ops.gather(self._weight("embeddings.position_embeddings.weight"), positions, 0)
        kind = ops.gather(self._weight("embeddings.token_type_embeddings.weight"), 0, 0)
        return self._norm(ops.add(ops.add(words, places), kind), "embeddings.LayerNorm.")

    def _layer(self, hidden: Any, seen: Any, prefix: str) -> Any:
        ops = self._ops
        attended = self._attention(hidden, seen, f"{prefix}attention.self.")
        attended = self._linear(attended, f"{prefix}attention.output.dense.")
        hidden = self._norm(ops.add(attended, hidden), f"{prefix}attention.output.LayerNorm.")
        inner = ops.gelu(self._linear(hidden, f"{prefix}intermediate.dense."), "erf")
        outer = self._linear(inner, f"{prefix}output.dense.")
        return self._norm(ops.add(outer, hidden), f"{prefix}output.LayerNorm.")

    def _attention(self, hidden: Any, seen: Any, prefix: str) -> Any:
        ops = self._ops
        query, key, value = (
            self._split_heads(self._linear(hidden, f"{prefix}{name}.")) for name in ("query", "key", "value")
        )
        scale = np.float32(1 / math.sqrt(self._head_size))
        attended = ops.scaled_dot_product_attention(query, key, value, seen, scale)
        return ops.reshape(
            ops.transpose(attended, [0, 2, 1, 3]), [0, 0, self._heads * self._head_size], special_zero=True
        )

    def _split_heads(self, hidden: Any) -> Any:
        """(b, n, h) as (b, heads, n, head size)."""
        parted = self._ops.reshape(hidden, [0, 0, self._heads, self._head_size], special_zero=True)
        return self._ops.transpose(parted, [0, 2, 1, 3])

    def _linear(self, hidden: Any, prefix: str) -> Any:
        product = self._ops.matmul(hidden, self._weight(f"{prefix}weight"), False, True)
        return self._ops.add(product, self._weight(f"{prefix}bias"))

    def _norm(self, hidden: Any, prefix: str) -> Any:
        ops = self._ops
        centred = ops.mvn(hidden, [-1], True, self._epsilon, "inside_sqrt")
        return ops.add(ops.multiply(centred, self._weight(f"{prefix}weight")), self._weight(f"{prefix}bias"))

    def _mean(self, hidden: Any, pooled: Any) -> Any:
        ops = self._ops
        shares = ops.unsqueeze(ops.convert(pooled, "f32"), [2])
        total = ops.reduce_sum(ops.multiply(hidden, shares), [1])
        return ops.divide(total, ops.maximum(ops.reduce_sum(shares, [1]), np.float32(_SMALLEST_SUM)))

    def _weight(self, name: str) -> Any:
        # Given as an array, an operation would copy it through a Python list.
        return self._ops.constant(np.asarray(self._weights[name], dtype=np.float32))
