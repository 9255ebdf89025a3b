"""The budget of a reader before any question is asked: memory by its parts, the prompt that fits, the time.

Every line carries a number and where it comes from, for a person or a script to read. The formulas are
elsewhere; here they are evaluated at the window that a plan leaves, and over a range of lengths.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from ragstack.context.architectures.description import Architecture, Layer
from ragstack.context.cache import bytes_per_token
from ragstack.context.complexity import MemoryEstimate, estimate_memory
from ragstack.context.counting import EstimatedCounter
from ragstack.context.deployment import Deployment, Device, regime_of
from ragstack.context.effective import length_warning
from ragstack.context.frames import PromptFrame
from ragstack.context.hardware import AvailableMemory
from ragstack.context.latency import Speed, tokens_per_second
from ragstack.context.ledger import Limit, draft_ledger
from ragstack.context.reader_plans import ReaderPlan, origin
from ragstack.records import Ledger

SHORTEST_SWEPT = 1_024
SHORTEST_CONTEXT = 256

SAMPLE_QUESTION = "How long is the notice period for employees who have been with us for more than ten years?"
"""Stands for the question that is not asked yet: 18 words."""

_FRAME_NOTE = "the question is a sample, and the charges are estimates: `ragstack ask --explain` counts them"


@dataclass(frozen=True, slots=True)
class MemoryLine:
    """Bytes of one part of the memory, expected and at most, and where the numbers come from."""

    name: str
    expected: int
    upper: int
    reason: str


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Layers that are alike, and how many of them there are."""

    count: int
    layer: Layer


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What the budget says of the model; `origin` is the model file, its server, or what was published."""

    name: str
    family: str
    origin: str
    source: str
    layers: tuple[LayerGroup, ...]
    parameters: int
    active_parameters: int
    weight_type: str
    window: int
    window_reason: str
    trained_window: int | None


@dataclass(frozen=True, slots=True)
class SweepRow:
    """Memory and time at one length; `tokens` are prompt and answer, None is what cannot be known."""

    tokens: int
    cache: int
    expected: int
    upper: int
    fits: bool | None
    seconds_to_first_token: float | None
    tokens_per_second: float | None


@dataclass(frozen=True, slots=True)
class Budget:
    """What fits, and what decides it.

    `prompt_tokens` is the longest prompt that every limit allows, 0 when none fits, and `binding` the limit
    that decides it. `tokens` is the context, prompt and answer, at which `memory` and the times were
    computed: what the limits leave, or a very short one where they leave nothing. `ledger` is that of a
    prompt whose fixed parts are estimated. Sizes are bytes, times seconds; `memory` is empty and the times
    are None where the model's layers or the machine's speed are not known.
    """

    model: ModelSummary
    deployment: Deployment
    engine_reason: str
    available: AvailableMemory | None
    prompt_tokens: int
    tokens: int
    memory: tuple[MemoryLine, ...]
    ledger: Ledger
    speed: Speed | None
    seconds_to_first_token: float | None
    tokens_per_second: float | None
    time_reason: str
    sweep: tuple[SweepRow, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    binding: str

    @property
    def fits(self) -> bool:
        """Whether anything is left for passages."""
        return self.ledger.passage_budget > 0


def model_budget(
    plan: ReaderPlan,
    frame: PromptFrame,
    *,
    reserve: int | None = None,
    budget: int | None = None,
    lengths: Iterable[int] | None = None,
) -> Budget:
    """The budget of `plan` for a question framed by `frame`, whose tokens are estimated.

    `reserve` (tokens for the answer) defaults to the plan's, `budget` caps the passages. `lengths` are the
    contexts of the sweep; by default powers of two up to the window, and the one that fits.
    Raises UsageError where a limit is asked for that cannot be computed.
    """
    kept = plan.reserve if reserve is None else reserve
    reader = plan.reader(EstimatedCounter())
    ledger = draft_ledger(reader, frame, limits=plan.limits(kept), reserve=kept, budget=budget)
    prompt = min(term.tokens for term in ledger.limits if term.name != Limit.BUDGET)
    tokens = min(plan.window, prompt + kept if prompt > 0 else SHORTEST_CONTEXT)
    time = plan.prefill.seconds(max(prompt, 1)) if plan.prefill and prompt > 0 else None
    warning = length_warning(plan.architecture.name, prompt) if prompt > 0 else None
    swept = sweep_lengths(plan.window, tokens) if lengths is None else lengths
    return Budget(
        model=_summary(plan),
        deployment=plan.deployment,
        engine_reason=plan.engine_reason,
        available=plan.memory,
        prompt_tokens=max(prompt, 0),
        tokens=tokens,
        memory=tuple(_memory_lines(plan, tokens)) if plan.architecture.is_known else (),
        ledger=ledger,
        speed=plan.speed,
        seconds_to_first_token=time,
        tokens_per_second=_rate(plan, tokens) if time is not None else None,
        time_reason=_time_reason(plan),
        sweep=tuple(_sweep_row(plan, length) for length in swept) if plan.architecture.is_known else (),
        notes=(*ledger.notes, _FRAME_NOTE),
        warnings=(warning,) if warning else (),
        binding=ledger.binding.name,
    )


def sweep_lengths(window: int, fitting: int) -> list[int]:
    """Powers of two from 1,024 up to the window, the window itself, and the context that fits."""
    lengths = {window, fitting}
    length = SHORTEST_SWEPT
    while length < window:
        lengths.add(length)
        length *= 2
    return sorted(lengths)


def _summary(plan: ReaderPlan) -> ModelSummary:
    model = plan.architecture
    return ModelSummary(
        name=model.name,
        family=model.family,
        origin=origin(model),
        source=model.source,
        layers=tuple(LayerGroup(count, layer) for layer, count in model.layer_groups),
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        weight_type=model.weight_type,
        window=plan.window,
        window_reason=plan.window_reason,
        trained_window=model.trained_window,
    )


# ---------------------------------------------------------------------------- memory


def _memory_lines(plan: ReaderPlan, tokens: int) -> Iterable[MemoryLine]:
    """One line a part, and the total; parts that take nothing are left out."""
    estimate = estimate_memory(plan.architecture, plan.deployment, tokens)
    reasons = _memory_reasons(plan)
    for field in fields(estimate.expected):
        expected, upper = getattr(estimate.expected, field.name), getattr(estimate.upper, field.name)
        if upper:
            yield MemoryLine(field.name, expected, upper, reasons[field.name])
    yield MemoryLine("total", *_totals(estimate), f"the sum, at {tokens:,} tokens of prompt and answer")


def _totals(estimate: MemoryEstimate) -> tuple[int, int]:
    return estimate.expected.total, estimate.upper.total


def _memory_reasons(plan: ReaderPlan) -> dict[str, str]:
    deployment = plan.deployment
    step = f"steps of {deployment.chunk:,} tokens" if deployment.chunk else "the whole prompt at once"
    return {
        "weights": _weight_reason(plan.architecture),
        "cache": _cache_reason(plan.architecture, deployment),
        "state": f"computed: float32 state of the recurrent layers, {_sequences(deployment)}",
        "buffers": f"computed: {regime_of(deployment)} attention, {step}",
        "logits": "computed: float32 scores of the vocabulary for the last token",
        "overhead": "published: a CUDA context and what builds were seen to add"
        if deployment.device is Device.GPU
        else f"published: what a process of {deployment.engine} holds before the model",
    }


def _weight_reason(architecture: Architecture) -> str:
    if architecture.weight_bytes is not None:
        whose = "server" if architecture.server else origin(architecture)
        return f"{whose}: the bytes of its tensors ({architecture.weight_type})"
    parameters = f"{parameter_words(architecture.parameters)} parameters ({origin(architecture)})"
    return f"computed: {parameters} in {architecture.weight_type}"


def parameter_words(count: int) -> str:
    """`8.03 B`, `135 M`, `205 K`: billions, millions or thousands."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} B"
    return f"{count / 1e6:,.0f} M" if count >= 1e7 else f"{count / 1e3:,.0f} K"


def _cache_reason(architecture: Architecture, deployment: Deployment) -> str:
    kinds = deployment.key_type
    if deployment.value_type != deployment.key_type:
        kinds = f"{deployment.key_type}/{deployment.value_type}"
    slope = bytes_per_token(architecture, deployment)
    return f"computed: {kinds}, {slope:,.0f} bytes a token, {_sequences(deployment)}"


def _sequences(deployment: Deployment) -> str:
    return "1 sequence" if deployment.parallel == 1 else f"{deployment.parallel} sequences"


# ------------------------------------------------------------------------------ time


def _rate(plan: ReaderPlan, tokens: int) -> float | None:
    if plan.speed is None or not plan.architecture.causal or not plan.architecture.is_known:
        return None
    return tokens_per_second(plan.architecture, plan.deployment, plan.speed, tokens)


def _time_reason(plan: ReaderPlan) -> str:
    if plan.prefill is not None:
        return plan.prefill.reason
    return "the speed of the machine that runs the model is not known"


def _sweep_row(plan: ReaderPlan, tokens: int) -> SweepRow:
    estimate = estimate_memory(plan.architecture, plan.deployment, tokens)
    upper = estimate.upper.total
    return SweepRow(
        tokens=tokens,
        cache=estimate.expected.cache,
        expected=estimate.expected.total,
        upper=upper,
        fits=upper <= plan.memory.bytes if plan.memory else None,
        seconds_to_first_token=plan.prefill.seconds(tokens) if plan.prefill else None,
        tokens_per_second=_rate(plan, tokens),
    )
