"""Measures what real forward passes of small models take in memory, beside what the complexity model says.

Random weights of a few megabytes stand in for a model: memory depends on shapes, not on values. Counted are
the bytes that torch's allocator hands out, not the process's memory. This is the one module of `inspection`
that loads torch; it draws nothing and prints nothing.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ragstack.context.architectures.description import Architecture
from ragstack.context.architectures.huggingface import architecture_from_config
from ragstack.context.deployment import AttentionKernel, Deployment, Device, Engine
from ragstack.context.transformers_pass import transformers_pass

if TYPE_CHECKING:
    import torch

_SHAPE = {
    "vocab_size": 1_024,
    "hidden_size": 512,
    "intermediate_size": 1_536,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 16_384,
}

TINY_MODELS: Mapping[str, Mapping[str, Any]] = {
    "Llama": {**_SHAPE, "model_type": "llama", "num_hidden_layers": 2},
    "Mistral": {**_SHAPE, "model_type": "mistral", "num_hidden_layers": 2, "sliding_window": 256},
    "Qwen3": {**_SHAPE, "model_type": "qwen3", "num_hidden_layers": 2, "use_sliding_window": False},
    "Gemma-3": {**_SHAPE, "model_type": "gemma3_text", "num_hidden_layers": 6, "sliding_window": 128},
}
"""Configurations in the words of `config.json`: grouped heads, a window, normalised heads, mixed layers."""

LENGTHS = (256, 512, 1_024, 2_048, 4_096, 8_192)
CHUNKS = (None, 512)
TYPES = ("f32", "bf16")
KERNELS = (AttentionKernel.EAGER, AttentionKernel.FUSED)

# Below this growth (64 MB), workspaces that do not grow with n would be a visible share of it.
SMALLEST_GROWTH = 64 * 10**6
GROWTH_TOLERANCE = 0.03
"""Relative error of the expected growth with which the model still counts as right."""


@dataclass(frozen=True, slots=True)
class PassRow:
    """One measured prefill: peak bytes beyond the weights, measured and by the model.

    Both are whole peaks: nothing is fitted to the measurement, and no offset is taken off either of them.
    `chunk` is None for a prompt read whole. `baseline` is the row of the shortest prompt of the same series,
    from which growth is counted; the shortest row is its own.
    """

    model: str
    attention: AttentionKernel
    activation_type: str
    chunk: int | None
    tokens: int
    measured: int
    expected: int
    upper: int
    baseline: tuple[int, int] = (0, 0)

    @property
    def measured_growth(self) -> int:
        """Bytes by which the peak exceeds that of the shortest prompt."""
        return self.measured - self.baseline[0]

    @property
    def expected_growth(self) -> int:
        """The same by the model."""
        return self.expected - self.baseline[1]

    @property
    def growth_error(self) -> float | None:
        """Relative error of the expected growth; None where it is too small to tell."""
        if self.measured_growth < SMALLEST_GROWTH:
            return None
        return self.expected_growth / self.measured_growth - 1

    @property
    def is_bounded(self) -> bool:
        """True when the measured peak does not exceed the upper bound."""
        return self.measured <= self.upper

    @property
    def holds(self) -> bool:
        """True when the peak is bounded and its growth, where it is large enough to tell, as expected."""
        return self.is_bounded and abs(self.growth_error or 0.0) <= GROWTH_TOLERANCE


def measure_passes(
    models: Mapping[str, Mapping[str, Any]] = TINY_MODELS,
    *,
    lengths: Sequence[int] = LENGTHS,
    kernels: Iterable[AttentionKernel] = KERNELS,
    types: Sequence[str] = TYPES,
    chunks: Sequence[int | None] = CHUNKS,
    device: Device = Device.CPU,
) -> Iterator[PassRow]:
    """Every combination, shortest prompt first within a series, one row as soon as it is measured.

    With `device` GPU it needs a CUDA device. The longest eager prompt of the defaults takes 5.4 GB of memory,
    and all 192 rows about a quarter of an hour on two cores.
    """
    for name, config in models.items():
        architecture = architecture_from_config(config, name=name, source="a tiny model")
        for kernel in kernels:
            for activation_type in types:
                model = build_model(config, kernel, activation_type, device)
                for chunk in chunks:
                    deployment = _deployment(kernel, activation_type, chunk, device)
                    yield from _series(model, architecture, deployment, lengths)
                del model
                gc.collect()


def _deployment(
    kernel: AttentionKernel, activation_type: str, chunk: int | None, device: Device
) -> Deployment:
    import torch

    return Deployment(
        engine=Engine.TRANSFORMERS,
        attention=kernel,
        key_type=activation_type,
        value_type=activation_type,
        activation_type=activation_type,
        chunk=chunk,
        threads=torch.get_num_threads(),
        device=device,
    )


def _series(
    model: Any, architecture: Architecture, deployment: Deployment, lengths: Sequence[int]
) -> Iterator[PassRow]:
    """The rows of one model and setting over the lengths; a prompt shorter than a chunk is one step."""
    baseline = None
    for tokens in sorted(lengths):
        estimate = transformers_pass(architecture, deployment, tokens)
        row = PassRow(
            model=architecture.name,
            attention=deployment.attention,
            activation_type=deployment.activation_type,
            chunk=deployment.chunk,
            tokens=tokens,
            measured=measure_peak(model, tokens, chunk=deployment.chunk, batch=deployment.parallel),
            expected=estimate.cache + estimate.expected,
            upper=estimate.cache + estimate.upper,
        )
        baseline = baseline or (row.measured, row.expected)
        yield replace(row, baseline=baseline)


def build_model(
    config: Mapping[str, Any], kernel: AttentionKernel, activation_type: str, device: Device = Device.CPU
) -> Any:
    """A causal language model of transformers with random weights, ready for inference."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    values = dict(config)
    described = AutoConfig.for_model(values.pop("model_type"), **values)
    model = AutoModelForCausalLM.from_config(
        described,
        attn_implementation="eager" if kernel is AttentionKernel.EAGER else "sdpa",
        dtype={"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[activation_type],
    )
    model = model.eval().to("cuda" if device is Device.GPU else "cpu")
    _prefill(model, _token_ids(model, 16, 1), None)  # the first call allocates what stays
    return model


def measure_peak(model: Any, tokens: int, *, chunk: int | None = None, batch: int = 1) -> int:
    """Peak bytes that torch's allocator held during one prefill, beyond what it held before.

    The prompt is `batch` sequences of `tokens` random tokens, read whole or in steps of `chunk`, with a
    key-value cache and the logits of the last position.
    """
    import torch

    ids = _token_ids(model, tokens, batch)
    if ids.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        _prefill(model, ids, chunk)
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated() - before)
    return _peak_on_cpu(model, ids, chunk)


def _token_ids(model: Any, tokens: int, batch: int) -> torch.Tensor:
    import torch

    generator = torch.Generator().manual_seed(tokens)
    ids = torch.randint(0, model.config.vocab_size, (batch, tokens), generator=generator)
    return ids.to(model.device)


def _prefill(model: Any, ids: torch.Tensor, chunk: int | None) -> None:
    import torch
    from transformers import DynamicCache

    step = chunk or ids.shape[1]
    with torch.inference_mode():
        cache = DynamicCache(config=model.config)
        for start in range(0, ids.shape[1], step):
            model(ids[:, start : start + step], past_key_values=cache, use_cache=True, logits_to_keep=1)


def _peak_on_cpu(model: Any, ids: torch.Tensor, chunk: int | None) -> int:
    """The peak from torch's memory profiler.

    It reports every allocation and release of the CPU allocator with the running total, temporaries inside
    operators included; a CPU has no `max_memory_allocated`.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler tells stderr of every start and stop
    import torch
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        _prefill(model, ids, chunk)
    kind = torch._C._profiler._EventType.Allocation
    roots = profiler.profiler.kineto_results.experimental_event_tree()
    events = [event for event in _descendants(roots) if event.tag == kind]
    first = min(events, key=lambda event: event.start_time_ns).extra_fields
    before = first.total_allocated - first.alloc_size
    return int(max(event.extra_fields.total_allocated for event in events) - before)


def _descendants(roots: Iterable[Any]) -> Iterator[Any]:
    waiting = list(roots)
    while waiting:
        event = waiting.pop()
        waiting.extend(event.children)
        yield event
