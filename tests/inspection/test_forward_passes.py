"""The instrument itself: what `measure_peak` counts, shown on passes whose allocations are known."""

from __future__ import annotations

import pytest

from ragstack.context.deployment import AttentionKernel
from ragstack.inspection.forward_passes import (
    GROWTH_TOLERANCE,
    SMALLEST_GROWTH,
    PassRow,
    measure_peak,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # torch warns of profiling

MIB = 2**20


@pytest.fixture(scope="module")
def pass_of():
    """A model whose one step does what a function says, with a tensor of weights that was there before."""
    import torch
    from transformers import LlamaConfig

    class Pass(torch.nn.Module):
        def __init__(self, work) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.zeros(4 * MIB))
            self.config = LlamaConfig(vocab_size=16, num_hidden_layers=1)
            self.device = torch.device("cpu")
            self._work = work

        def forward(self, ids, **_):
            self._work(ids)

    return Pass


def floats(mebibytes: float):
    import torch

    return torch.empty(int(mebibytes * MIB) // 4)


def test_a_peak_is_what_lives_at_once_and_not_what_was_allocated_in_all(pass_of):
    def work(_ids):
        for _ in range(5):
            floats(8)  # each is gone before the next comes

    assert measure_peak(pass_of(work), 4) == 8 * MIB


def test_tensors_that_live_together_add_up_and_weights_do_not_count(pass_of):
    def work(_ids):
        kept = [floats(3), floats(5)]
        floats(2)
        del kept

    assert measure_peak(pass_of(work), 4) == 10 * MIB


def test_temporaries_inside_an_operator_are_seen(pass_of):
    import torch

    x = torch.randn(MIB // 4)

    def work(_ids):
        torch.sort(x)  # values and indices, and what sorting takes on the way

    assert measure_peak(pass_of(work), 4) >= MIB + 2 * MIB


def test_a_prompt_in_chunks_is_measured_over_all_its_steps(pass_of):
    kept = []

    def work(ids):
        kept.append(floats(ids.shape[1]))

    assert measure_peak(pass_of(work), 10, chunk=4) == 10 * MIB


def row(*, measured: int, expected: int, upper: int, baseline: tuple[int, int] = (0, 0)) -> PassRow:
    return PassRow("Llama", AttentionKernel.EAGER, "f32", None, 512, measured, expected, upper, baseline)


def test_growth_counts_from_the_shortest_prompt_and_only_where_it_is_large():
    small = row(measured=SMALLEST_GROWTH - 1, expected=0, upper=2**40)
    assert small.growth_error is None
    assert small.holds
    large = row(measured=300 * MIB, expected=310 * MIB, upper=2**40, baseline=(100 * MIB, 100 * MIB))
    assert large.growth_error == pytest.approx(0.05)
    assert not large.holds


@pytest.mark.parametrize("error", [-1, 1])
def test_a_row_holds_up_to_the_tolerance_and_under_the_bound(error):
    measured = 200 * MIB
    near = measured + error * int(0.99 * GROWTH_TOLERANCE * measured)
    far = measured + error * int(1.01 * GROWTH_TOLERANCE * measured)
    assert row(measured=measured, expected=near, upper=measured).holds
    assert not row(measured=measured, expected=far, upper=measured).holds
    assert not row(measured=measured, expected=near, upper=measured - 1).holds
