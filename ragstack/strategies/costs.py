"""What a reading costs a model: tokens, prompts, key-value cache, peak memory, time until the answer begins.

The complexity model says how much memory and time a prompt takes; here it is asked about every prompt of a
reading. Prompts come one after the other, so memory is that of the longest, and time is the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ragstack.records import Reading, ReadingCost

if TYPE_CHECKING:
    from ragstack.context.architectures.description import Architecture
    from ragstack.context.deployment import Deployment
    from ragstack.context.solver import PrefillTime

NO_MODEL = "no language model reads the prompts, so there is no term for memory and time"
NO_LAYERS = "the layers of the model are not known, so neither are memory and time"


class CostModel(Protocol):
    """The language model that is to read: any plan of a reader is one."""

    @property
    def architecture(self) -> Architecture:
        """Its layers and sizes."""
        ...

    @property
    def deployment(self) -> Deployment:
        """The engine that runs it, and how."""
        ...

    @property
    def prefill(self) -> PrefillTime | None:
        """How long it takes to read a prompt, if that is known."""
        ...


def reading_cost(reading: Reading, model: CostModel | None = None, *, reserve: int = 0) -> ReadingCost:
    """What the prompts of a reading take of a model; without one, only what was counted.

    `reserve` tokens of answer are in the memory of the longest prompt too. Where the model's speed is not
    known, the seconds stay unknown.
    """
    counted = (len(reading.passes), reading.tokens_read, reading.largest_prompt)
    if model is None or not model.architecture.is_known:
        return ReadingCost(*counted, reason=NO_MODEL if model is None else NO_LAYERS)
    from ragstack.context.cache import cache_bytes
    from ragstack.context.complexity import estimate_memory

    tokens = reading.largest_prompt + reserve
    memory = estimate_memory(model.architecture, model.deployment, tokens)
    reason = f"{model.architecture.name} on {model.deployment.engine}"
    if model.prefill is not None:
        reason += f"; {model.prefill.reason}"
    return ReadingCost(
        *counted,
        reason=reason,
        cache_bytes=cache_bytes(model.architecture, model.deployment, tokens),
        peak_bytes=memory.expected.total,
        peak_bytes_upper=memory.upper.total,
        prefill_seconds=_seconds(reading, model.prefill.seconds) if model.prefill else None,
    )


def _seconds(reading: Reading, seconds: Callable[[int], float]) -> float:
    return sum(seconds(each.prompt_tokens) for each in reading.passes)
