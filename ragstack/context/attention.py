"""What attention costs by its pattern, and attention itself: the seed's `ContextAnalyzer`, made real.

A reference to learn and to check from: exact, blockwise, linear in memory. The budget does not use it; the
memory of real engines is `complexity`'s business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from ragstack.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]

# Queries that are worked on at once: large enough for BLAS, small beside any window that is worth one.
QUERY_BLOCK = 256


class AttentionPattern(StrEnum):
    """Which keys a query reads."""

    FULL = "full"
    CAUSAL = "causal"
    SLIDING_WINDOW = "sliding window"
    BLOCK_SPARSE = "block-sparse"
    DILATED = "dilated"


@dataclass(frozen=True)
class Projections:
    """Matrices that make queries, keys, values and the output from hidden states; None leaves them alone.

    `query`, `key` and `value` are (hidden size, heads * head dimension), `output` the reverse.
    """

    query: Array | None = None
    key: Array | None = None
    value: Array | None = None
    output: Array | None = None


class ContextAnalyzer:
    """What attention over a long context costs, and attention that costs less.

    `heads` split the hidden size; `bytes_per_element` is 4 for float32, 2 for half precision.
    """

    def __init__(self, *, heads: int = 1, bytes_per_element: int = 4) -> None:
        if heads < 1 or bytes_per_element < 1:
            raise UsageError("heads and bytes of an element must be at least 1")
        self.heads = heads
        self.bytes_per_element = bytes_per_element

    # ------------------------------------------------------------------ costs

    def attention_complexity(
        self,
        seq_len: int,
        d_model: int,
        *,
        pattern: AttentionPattern | str = AttentionPattern.FULL,
        window_size: int = 512,
        block_size: int = 64,
        stride: int = 4,
        causal: bool = False,
    ) -> dict[str, Any]:
        """Costs of one attention layer over `seq_len` tokens of `d_model` dimensions.

        The first three keys are the notebook's, always of full attention: `time_complexity` n^2 d,
        `space_complexity` n^2, `memory_gb` n^2 d 4 / 2^30. The rest is what they are not: the `pairs` that
        `pattern` computes, its `operations` (4 d for each pair: a product with the key and one with the
        value, two operations each), `score_bytes` if the scores of all heads are materialised,
        `tile_bytes` if they are computed in tiles, and `hidden_bytes` of the tokens themselves. `meaning`
        says so for every key.

        `window_size` is the sliding window, `block_size` and `stride` those of block-sparse and dilated
        attention, and `causal` whether these read only what is before a token, as in the methods of those
        names.
        """
        if min(seq_len, d_model) < 1:
            raise UsageError("attention needs at least one token of one dimension")
        chosen = _pattern(pattern)
        pairs = _pairs(chosen, seq_len, window_size, block_size, stride, causal=causal)
        rows = min(QUERY_BLOCK, seq_len)
        return {
            "time_complexity": seq_len**2 * d_model,
            "space_complexity": seq_len**2,
            "memory_gb": seq_len**2 * d_model * 4 / 2**30,
            "pattern": str(chosen),
            "pairs": pairs,
            "operations": 4 * pairs * d_model,
            "score_bytes": pairs * self.heads * self.bytes_per_element,
            "tile_bytes": math.ceil(pairs / seq_len) * rows * self.heads * self.bytes_per_element,
            "hidden_bytes": seq_len * d_model * self.bytes_per_element,
            "meaning": dict(_MEANINGS),
        }

    # -------------------------------------------------------------- attention

    def sliding_window_attention(
        self,
        x: Array,
        window_size: int,
        *,
        causal: bool = False,
        projections: Projections | None = None,
    ) -> Array:
        """softmax(Q K^T / sqrt(d)) V where each token reads the tokens of a window around it.

        `x` is (tokens, hidden size) or (batch, tokens, hidden size); the result has its shape, unless an
        output projection changes it. Without projections Q = K = V = x, split into heads. Symmetric: token i
        reads every j with |i - j| <= window_size // 2. `causal`: the last `window_size` tokens up to and
        with i itself, as in Mistral.

        Exact, in O(n w) time and, beyond input and output, O((w + 256) * 256) memory for each head: blocks of
        queries are scored against the keys that their windows touch.
        """
        before, after = (window_size - 1, 0) if causal else (window_size // 2, window_size // 2)
        if window_size < 1:
            raise UsageError(f"a window of {window_size} tokens holds none")
        return _attend(x, self.heads, projections, _Band(before, after))

    def block_sparse_attention(
        self,
        x: Array,
        block_size: int,
        *,
        local_blocks: int = 1,
        global_blocks: int = 1,
        stride: int | None = None,
        causal: bool = False,
        projections: Projections | None = None,
    ) -> Array:
        """softmax(Q K^T / sqrt(d)) V where each block of tokens reads some blocks, and all others nothing.

        A block of `block_size` queries reads its `local_blocks` neighbours on each side, the first
        `global_blocks` blocks (which also read everything), and with a `stride` every block whose distance
        is a multiple of it: dilated attention. `causal` keeps only the tokens up to each query. Shapes and
        projections as in `sliding_window_attention`; exact, in time and memory proportional to the blocks
        that are read.
        """
        if block_size < 1 or local_blocks < 0 or global_blocks < 0 or (stride is not None and stride < 1):
            raise UsageError("a block and a stride are at least 1, numbers of blocks at least 0")
        pattern = _Blocks(block_size, local_blocks, global_blocks, stride, causal)
        return _attend(x, self.heads, projections, pattern)


_MEANINGS = {
    "time_complexity": "n^2 d: the order of operations of full attention, not bytes",
    "space_complexity": "n^2: scores of one head; fused attention never holds them",
    "memory_gb": "n^2 d 4 / 2^30, as the notebook has it: operations in the guise of bytes, not a memory",
    "pairs": "pairs of a query and a key that the pattern computes, for each head",
    "operations": "4 d for each pair, over all heads: operations of scores and weighted values",
    "score_bytes": "bytes of the scores of all heads, if they are materialised (eager attention)",
    "tile_bytes": "bytes of the scores of one block of queries, if they are not (blockwise, fused attention)",
    "hidden_bytes": "bytes of the hidden states that go in",
}


def block_neighbours(
    block: int, blocks: int, *, local: int, global_blocks: int, stride: int | None, causal: bool
) -> Sequence[int]:
    """The blocks of keys that one block of queries reads, in order; see `block_sparse_attention`."""
    if block < global_blocks:
        chosen = set(range(blocks))
    else:
        chosen = set(range(max(0, block - local), min(blocks, block + local + 1)))
        chosen |= set(range(min(global_blocks, blocks)))
        if stride is not None:
            chosen |= set(range(block % stride, blocks, stride))
    return sorted(other for other in chosen if not causal or other <= block)


def _pattern(name: AttentionPattern | str) -> AttentionPattern:
    try:
        return AttentionPattern(name)
    except ValueError as error:
        known = ", ".join(f"`{pattern}`" for pattern in AttentionPattern)
        raise UsageError(f"`{name}` is no pattern of attention", hint=f"use one of {known}") from error


def _pairs(
    pattern: AttentionPattern, tokens: int, window: int, block: int, stride: int, *, causal: bool
) -> int:
    """How many pairs a pattern lets through for each head."""
    if pattern is AttentionPattern.FULL:
        return tokens * tokens
    if pattern is AttentionPattern.CAUSAL:
        return tokens * (tokens + 1) // 2
    if pattern is AttentionPattern.SLIDING_WINDOW and causal:
        seen = min(window, tokens)
        return seen * (seen + 1) // 2 + (tokens - seen) * seen
    if pattern is AttentionPattern.SLIDING_WINDOW:
        half = min(window // 2, tokens - 1)
        return tokens * (2 * half + 1) - half * (half + 1)
    reach = stride if pattern is AttentionPattern.DILATED else None
    return _block_pairs(_Blocks(block, 1, 1, reach, causal), tokens)


def _block_pairs(pattern: _Blocks, tokens: int) -> int:
    """Pairs of a block pattern, counted block by block without listing them; the last block may be short."""
    blocks = -(-tokens // pattern.size)
    missing = blocks * pattern.size - tokens
    total = 0
    for block in range(blocks):
        rows = pattern.size - (missing if block == blocks - 1 else 0)
        keys = pattern.size * pattern.neighbours(block, blocks)
        if pattern.causal:
            total += rows * (keys - pattern.size) + rows * (rows + 1) // 2
        else:
            total += rows * (keys - (missing if pattern.reads(block, blocks - 1) else 0))
    return total


# ---------------------------------------------------------------- blockwise attention


@dataclass(frozen=True)
class _Band:
    """Each query reads `before` tokens before it, itself, and `after` tokens after it."""

    before: int
    after: int

    def blocks(self, tokens: int) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.bool_] | None]]:
        """Blocks of queries, the keys that they touch, and which of those each of them reads."""
        for start in range(0, tokens, QUERY_BLOCK):
            end = min(start + QUERY_BLOCK, tokens)
            keys = np.arange(max(0, start - self.before), min(tokens, end + self.after))
            distance = np.arange(start, end)[:, None] - keys
            yield slice(start, end), keys, (distance <= self.before) & (-distance <= self.after)


@dataclass(frozen=True)
class _Blocks:
    """Each block of queries reads whole blocks of keys."""

    size: int
    local: int
    global_blocks: int
    stride: int | None
    causal: bool

    def reads(self, block: int, other: int) -> bool:
        """Whether one block of queries reads another block of keys."""
        if self.causal and other > block:
            return False
        if abs(block - other) <= self.local or min(block, other) < self.global_blocks:
            return True
        return self.stride is not None and (block - other) % self.stride == 0

    def neighbours(self, block: int, blocks: int) -> int:
        """How many of so many blocks one block of queries reads, as `block_neighbours` lists them."""
        stop = block + 1 if self.causal else blocks
        if block < self.global_blocks:
            return stop
        low, high = max(0, block - self.local), min(stop, block + self.local + 1)
        first = min(self.global_blocks, low)
        count = high - low + first
        if self.stride is not None:
            rest = block % self.stride
            for start, end in ((first, low), (high, stop)):
                count += (end - 1 - rest) // self.stride - (start - 1 - rest) // self.stride
        return count

    def blocks(self, tokens: int) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.bool_] | None]]:
        """Blocks of queries and the keys that they read; causal ones with what lies before each query."""
        count = -(-tokens // self.size)
        for block in range(count):
            start, end = block * self.size, min((block + 1) * self.size, tokens)
            chosen = block_neighbours(
                block,
                count,
                local=self.local,
                global_blocks=self.global_blocks,
                stride=self.stride,
                causal=self.causal,
            )
            keys = np.concatenate(
                [np.arange(other * self.size, min((other + 1) * self.size, tokens)) for other in chosen]
            )
            yield slice(start, end), keys, np.arange(start, end)[:, None] >= keys if self.causal else None


def _attend(x: Array, heads: int, projections: Projections | None, pattern: _Band | _Blocks) -> Array:
    """Attention over each sequence of the batch, a block of queries at a time."""
    hidden = np.asarray(x)
    if hidden.ndim not in (2, 3) or hidden.shape[-2] < 1:
        raise UsageError("hidden states are (tokens, size) or (batch, tokens, size), with at least one token")
    if not np.issubdtype(hidden.dtype, np.floating):
        hidden = hidden.astype(np.float64)
    batch = hidden if hidden.ndim == 3 else hidden[None]
    outputs = [_attend_sequence(sequence, heads, projections or Projections(), pattern) for sequence in batch]
    return np.stack(outputs) if hidden.ndim == 3 else outputs[0]


def _attend_sequence(hidden: Array, heads: int, projections: Projections, pattern: _Band | _Blocks) -> Array:
    queries, keys, values = (
        _split(_project(hidden, matrix), heads)
        for matrix in (projections.query, projections.key, projections.value)
    )
    scale = 1 / math.sqrt(queries.shape[-1])
    merged = np.empty((hidden.shape[0], values.shape[0] * values.shape[2]), dtype=values.dtype)
    for rows, columns, allowed in pattern.blocks(hidden.shape[0]):
        mixed = _softmax_product(queries[:, rows], keys, values, columns, allowed, scale)
        merged[rows] = mixed.transpose(1, 0, 2).reshape(mixed.shape[1], -1)
    return _project(merged, projections.output)


def _softmax_product(
    queries: Array,
    keys: Array,
    values: Array,
    columns: NDArray[np.int64],
    allowed: NDArray[np.bool_] | None,
    scale: float,
) -> Array:
    """Scores of one block of queries against its keys, masked, normalised, times the values."""
    contiguous = columns[-1] - columns[0] + 1 == len(columns)
    read = slice(int(columns[0]), int(columns[-1]) + 1) if contiguous else columns
    scores = queries @ keys[:, read].transpose(0, 2, 1)
    scores *= scores.dtype.type(scale)
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    product: Array = scores @ values[:, read]
    return product


def _project(hidden: Array, matrix: Array | None) -> Array:
    return hidden if matrix is None else hidden @ np.asarray(matrix, dtype=hidden.dtype)


def _split(hidden: Array, heads: int) -> Array:
    """(tokens, heads * d) as (heads, tokens, d), without a copy."""
    tokens, size = hidden.shape
    if size % heads:
        raise UsageError(f"{size} dimensions do not divide into {heads} heads")
    return hidden.reshape(tokens, heads, size // heads).transpose(1, 0, 2)
