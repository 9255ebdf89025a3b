"""The seed's attention, made real: equal to masked full attention, linear in memory, honest about costs."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.context.attention import AttentionPattern, ContextAnalyzer, Projections, block_neighbours
from ragstack.errors import UsageError


def hidden_states(*shape: int, dtype=np.float32) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def reference(
    x: np.ndarray, mask: np.ndarray, heads: int = 1, projections: Projections | None = None
) -> np.ndarray:
    """Masked full attention by torch's own scaled_dot_product_attention."""
    import torch

    chosen = projections or Projections()
    batch = torch.from_numpy(x if x.ndim == 3 else x[None])

    def split(matrix):
        projected = batch if matrix is None else batch @ torch.from_numpy(matrix.astype(x.dtype))
        return projected.unflatten(-1, (heads, -1)).transpose(1, 2)

    mixed = torch.nn.functional.scaled_dot_product_attention(
        split(chosen.query), split(chosen.key), split(chosen.value), attn_mask=torch.from_numpy(mask)
    )
    merged = mixed.transpose(1, 2).flatten(2).numpy()
    merged = merged if chosen.output is None else merged @ chosen.output.astype(x.dtype)
    return merged if x.ndim == 3 else merged[0]


def band(tokens: int, window: int, *, causal: bool) -> np.ndarray:
    distance = np.arange(tokens)[:, None] - np.arange(tokens)[None]
    if causal:
        return (distance >= 0) & (distance < window)
    return np.abs(distance) <= window // 2


TOLERANCE = {np.float32: {"rtol": 2e-5, "atol": 2e-6}, np.float64: {"rtol": 1e-12, "atol": 1e-13}}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("tokens", "window"), [(1, 1), (7, 3), (256, 64), (257, 512), (1_000, 100), (700, 1)]
)
def test_sliding_windows_equal_masked_full_attention(tokens, window, causal, dtype):
    x = hidden_states(tokens, 64, dtype=dtype)
    found = ContextAnalyzer(heads=4).sliding_window_attention(x, window, causal=causal)
    expected = reference(x, band(tokens, window, causal=causal), heads=4)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, **TOLERANCE[dtype])


@settings(max_examples=40, deadline=None)
@given(
    tokens=st.integers(1, 600),
    window=st.integers(1, 700),
    heads=st.sampled_from([1, 2, 8]),
    batch=st.integers(0, 3),
    causal=st.booleans(),
)
def test_any_window_equals_masked_full_attention(tokens, window, heads, batch, causal):
    shape = (batch, tokens, 16) if batch else (tokens, 16)
    x = hidden_states(*shape, dtype=np.float64)
    found = ContextAnalyzer(heads=heads).sliding_window_attention(x, window, causal=causal)
    expected = reference(x, band(tokens, window, causal=causal), heads=heads)
    np.testing.assert_allclose(found, expected, **TOLERANCE[np.float64])


def test_projections_make_queries_keys_values_and_output():
    x = hidden_states(2, 300, 32, dtype=np.float64)
    projections = Projections(
        *(hidden_states(*shape, dtype=np.float64) / 6 for shape in [(32, 48)] * 3 + [(48, 24)])
    )
    found = ContextAnalyzer(heads=4).sliding_window_attention(x, 64, projections=projections)
    expected = reference(x, band(300, 64, causal=False), heads=4, projections=projections)
    assert found.shape == (2, 300, 24)
    np.testing.assert_allclose(found, expected, **TOLERANCE[np.float64])


def block_mask(tokens, size, *, local, global_blocks, stride, causal):
    """The pattern by its words, pair by pair of blocks, independent of the code under test."""
    block = np.arange(tokens) // size
    mine, other = block[:, None], block[None]
    allowed = (np.abs(mine - other) <= local) | (mine < global_blocks) | (other < global_blocks)
    if stride is not None:
        allowed |= (mine - other) % stride == 0
    if causal:
        allowed &= np.arange(tokens)[:, None] >= np.arange(tokens)[None]
    return allowed


@settings(max_examples=60, deadline=None)
@given(
    tokens=st.integers(1, 400),
    size=st.integers(1, 90),
    local=st.integers(0, 2),
    global_blocks=st.integers(0, 2),
    stride=st.none() | st.integers(1, 5),
    causal=st.booleans(),
)
def test_any_block_pattern_equals_masked_full_attention(tokens, size, local, global_blocks, stride, causal):
    x = hidden_states(tokens, 16, dtype=np.float64)
    settings_ = {"global_blocks": global_blocks, "stride": stride, "causal": causal}
    found = ContextAnalyzer(heads=2).block_sparse_attention(x, size, local_blocks=local, **settings_)
    mask = block_mask(tokens, size, local=local, **settings_)
    np.testing.assert_allclose(found, reference(x, mask, heads=2), **TOLERANCE[np.float64])


def peak_of(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_sequence_takes_memory_in_proportion_to_its_length():
    analyzer = ContextAnalyzer()
    short, long = (hidden_states(tokens, 64) for tokens in (16_384, 65_536))
    peaks = [peak_of(lambda x=x: analyzer.sliding_window_attention(x, 512)) for x in (short, long)]
    assert peaks[1] < 4 * peaks[0]
    # The output is 16 MiB; the full scores of one head would be 16 GiB.
    assert long.nbytes <= peaks[1] < long.nbytes + 8 * 2**20


@pytest.mark.parametrize("causal", [False, True])
def test_the_longest_sequence_is_right_wherever_one_looks(causal):
    """The reference does not fit 65,536 tokens, but it fits the keys that some of its rows read."""
    tokens, window, rows = 65_536, 512, 64
    x = hidden_states(tokens, 64)
    found = ContextAnalyzer().sliding_window_attention(x, window, causal=causal)
    for start in (0, 255, 30_001, tokens - rows):
        first, last = max(0, start - window), min(tokens, start + rows + window)
        expected = reference(x[first:last], band(last - first, window, causal=causal))
        np.testing.assert_allclose(
            found[start : start + rows],
            expected[start - first : start - first + rows],
            **TOLERANCE[np.float32],
        )


def test_a_sequence_of_thousands_equals_the_reference_whole():
    x = hidden_states(4_096, 64)
    for causal in (False, True):
        found = ContextAnalyzer().sliding_window_attention(x, 512, causal=causal)
        np.testing.assert_allclose(
            found, reference(x, band(4_096, 512, causal=causal)), **TOLERANCE[np.float32]
        )


def test_a_tensor_of_torch_is_taken_as_hidden_states():
    import torch

    x = hidden_states(40, 16)
    analyzer = ContextAnalyzer(heads=2)
    np.testing.assert_array_equal(
        analyzer.sliding_window_attention(torch.from_numpy(x), 8), analyzer.sliding_window_attention(x, 8)
    )


def test_block_sparse_attention_takes_memory_in_proportion_too():
    analyzer = ContextAnalyzer()
    peaks = [
        peak_of(lambda n=n: analyzer.block_sparse_attention(hidden_states(n, 32), 128, global_blocks=0))
        for n in (4_096, 16_384)
    ]
    assert peaks[1] < 4.5 * peaks[0]


def test_the_notebook_s_keys_keep_their_numbers_whatever_the_pattern():
    for pattern in AttentionPattern:
        costs = ContextAnalyzer().attention_complexity(8_192, 4_096, pattern=pattern)
        assert costs["time_complexity"] == 8_192**2 * 4_096
        assert costs["space_complexity"] == 8_192**2
        assert costs["memory_gb"] == 1_024.0


def test_the_added_keys_say_what_scores_really_take():
    costs = ContextAnalyzer(heads=32, bytes_per_element=2).attention_complexity(8_192, 4_096)
    assert costs["score_bytes"] == 4 * 2**30
    assert costs["operations"] == 4 * 8_192**2 * 4_096
    assert costs["tile_bytes"] == 256 * 8_192 * 32 * 2
    assert set(costs["meaning"]) == set(costs) - {"pattern", "meaning"}


@pytest.mark.parametrize("tokens", [1, 5, 64, 130, 257])
def test_pairs_are_those_that_the_masks_let_through(tokens):
    analyzer = ContextAnalyzer()

    def pairs(pattern):
        return analyzer.attention_complexity(
            tokens, 8, pattern=pattern, window_size=20, block_size=16, stride=3
        )["pairs"]

    assert pairs("full") == tokens**2
    assert pairs("causal") == tokens * (tokens + 1) // 2
    assert pairs("sliding window") == band(tokens, 20, causal=False).sum()
    blocks = {"local": 1, "global_blocks": 1, "causal": False}
    assert pairs("block-sparse") == block_mask(tokens, 16, stride=None, **blocks).sum()
    assert pairs("dilated") == block_mask(tokens, 16, stride=3, **blocks).sum()


@pytest.mark.parametrize("tokens", [1, 5, 64, 130, 257])
def test_causal_pairs_are_those_that_the_causal_masks_let_through(tokens):
    analyzer = ContextAnalyzer()

    def pairs(pattern):
        return analyzer.attention_complexity(
            tokens, 8, pattern=pattern, window_size=20, block_size=16, stride=3, causal=True
        )["pairs"]

    assert pairs("sliding window") == band(tokens, 20, causal=True).sum()
    blocks = {"local": 1, "global_blocks": 1, "causal": True}
    assert pairs("block-sparse") == block_mask(tokens, 16, stride=None, **blocks).sum()
    assert pairs("dilated") == block_mask(tokens, 16, stride=3, **blocks).sum()


@settings(max_examples=150, deadline=None)
@given(
    tokens=st.integers(1, 300),
    block=st.integers(1, 60),
    stride=st.integers(1, 6),
    dilated=st.booleans(),
    causal=st.booleans(),
)
def test_any_block_pattern_is_counted_as_its_mask_is(tokens, block, stride, dilated, causal):
    costs = ContextAnalyzer().attention_complexity(
        tokens,
        8,
        pattern="dilated" if dilated else "block-sparse",
        block_size=block,
        stride=stride,
        causal=causal,
    )
    mask = block_mask(
        tokens, block, local=1, global_blocks=1, stride=stride if dilated else None, causal=causal
    )
    assert costs["pairs"] == mask.sum()


def test_pairs_of_a_million_tokens_are_counted_and_not_listed():
    peak = peak_of(lambda: ContextAnalyzer().attention_complexity(2**20, 64, pattern="dilated"))
    assert peak < 2**20


def test_neighbours_are_in_order_and_include_the_block_itself():
    assert block_neighbours(5, 9, local=1, global_blocks=1, stride=4, causal=False) == [0, 1, 4, 5, 6]
    assert block_neighbours(5, 9, local=1, global_blocks=0, stride=None, causal=True) == [4, 5]


@pytest.mark.parametrize("window", [0, -3])
def test_a_window_without_tokens_is_refused(window):
    with pytest.raises(UsageError, match="window"):
        ContextAnalyzer().sliding_window_attention(hidden_states(4, 4), window)


def test_shapes_that_cannot_be_are_refused():
    analyzer = ContextAnalyzer(heads=3)
    for x in (hidden_states(4), np.zeros((0, 6), np.float32), hidden_states(4, 8)):
        with pytest.raises(UsageError):
            analyzer.sliding_window_attention(x, 2)
    with pytest.raises(UsageError, match="pattern"):
        analyzer.attention_complexity(4, 4, pattern="starry")
    with pytest.raises(UsageError):
        analyzer.block_sparse_attention(hidden_states(6, 6), 0)


def test_whole_numbers_are_taken_as_hidden_states():
    found = ContextAnalyzer().sliding_window_attention(np.arange(12).reshape(4, 3), 1)
    np.testing.assert_array_equal(found, np.arange(12.0).reshape(4, 3))
