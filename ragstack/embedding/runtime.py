"""The border between the embedder and what computes: batches of token ids in, vectors out.

An embedder tokenizes, sorts, pads and checks; a runtime only runs the model. `torch_runtime` runs it through
sentence-transformers; a compiled runtime takes its place by having the same two members.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Token ids of shape (texts, longest text), filled up on the right where `mask` is 0 (else 1).

    The first `skipped` tokens of every text (leading special tokens and the prompt) are read but not pooled.
    """

    ids: IntArray
    mask: IntArray
    skipped: int = 0


class Runtime(Protocol):
    """Runs one model, already in memory."""

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, filling included, at which this runtime is fastest."""
        ...

    def run(self, batch: TokenBatch) -> FloatArray:
        """The output of the model's last module, shape (texts, output dimension), checked by the caller."""
        ...
