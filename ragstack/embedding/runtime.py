"""The border between the embedder and what computes: batches of token ids in, vectors out.

An embedder tokenizes, sorts, pads and checks; a runtime only runs the model. `openvino_runtime` runs it
compiled, `torch_runtime` through sentence-transformers; `compiled` chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
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

    @property
    def pooled(self) -> IntArray:
        """1 where a token counts in the pooling: `mask` without the skipped ones."""
        if not self.skipped:
            return self.mask
        pooled = self.mask.copy()
        pooled[:, : self.skipped] = 0
        return pooled


def pad(rows: Sequence[IntArray], padding_id: int, skipped: int = 0) -> TokenBatch:
    """The token ids of several texts as one batch, the shorter ones filled up with `padding_id`."""
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), padding_id, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return TokenBatch(ids, mask, skipped)


class Runtime(Protocol):
    """Runs one model, already in memory."""

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, filling included, at which this runtime is fastest."""
        ...

    def run(self, batch: TokenBatch) -> FloatArray:
        """The output of the model's last module, shape (texts, output dimension), checked by the caller."""
        ...

    def run_each(self, batches: Iterable[TokenBatch]) -> Iterator[FloatArray]:
        """What `run` gives for each of many batches, in their order; several may be at work at once."""
        ...
