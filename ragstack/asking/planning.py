"""Finds out how a language model will read a prompt before it is asked, also when it cannot be asked.

Whatever the server or the model says of itself comes from `context.reader_plans`; what earlier answers of the
same model measured takes the place of a computed time. No prompt is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ragstack.answering.calibration import TimedAnswer, prefill_from_timings, rate_from_timings
from ragstack.answering.generation import Prediction
from ragstack.asking.limits import PromptLimits
from ragstack.config import DEFAULT_WINDOW
from ragstack.context.complexity import estimate_memory
from ragstack.context.counting import ROLE_TOKENS, EstimatedCounter, open_counter
from ragstack.context.latency import RooflinePrefill, parse_seconds, tokens_per_second
from ragstack.context.reader_plans import LARGEST_RESERVE, ReaderPlan, plan_reader
from ragstack.context.readers import ReaderModel, TokenCounter
from ragstack.errors import ArchitectureError, GenerationError, RagstackError
from ragstack.records import Generator, GeneratorDescription, Ledger, LedgerTerm

SHORTEST_COMPUTED = 0.1
"""Seconds to a first token below which no computed time is told, since the machine's peaks say nothing of it:
matrices so small do not reach them, and the request and the sampling cost something, too. A model of two
layers and 1 MB took llama.cpp's server 46 to 98 ms for 1,850 tokens and 6 ms for 335, transformers 53 ms for
1,860; arithmetic at the peaks says 10 and 2 ms (2 cores of an AMD EPYC). What was measured is told always."""

SHORTEST_COMPUTED_TOKEN = 0.002
"""Seconds a token likewise: there it took 0.3 to 1.2 ms a token, for which the peaks say 0.02 to 0.1 ms."""

_TOO_SHORT = (
    "which says nothing of less than"
    f" {SHORTEST_COMPUTED:g} s to the first token or {1_000 * SHORTEST_COMPUTED_TOKEN:g} ms a token"
)


NAMING_HINT = (
    "name a server's address, `ollama:MODEL`, `openai:MODEL`, or a folder with a model that transformers runs"
)
"""What to give as a language model that writes; a description alone, such as a `config.json`, cannot."""


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A language model as the reader of a prompt; without a `plan` if it cannot be asked: `failure`.

    `rate` is the tokens a second that were measured of it before, if they were.
    """

    reader: ReaderModel
    plan: ReaderPlan | None
    failure: RagstackError | None = None
    rate: float | None = None

    def limits(self, reserve: int | None) -> tuple[LedgerTerm, ...]:
        """The limits beside the window."""
        if self.plan is None:
            return ()
        return self.plan.limits(self.reader.reserve if reserve is None else reserve)

    def predict(self, ledger: Ledger, templated: int | None) -> Prediction:
        """What the complexity model expects of the prompt of this ledger; `templated` is its exact count.

        A computed time that is too short for the machine's peaks to say anything of it is left out.
        """
        margin = sum(term.tokens for term in ledger.charges if term.name == "safety margin")
        tokens = templated if templated is not None else ledger.prompt_tokens - margin
        counted = templated is not None
        plan = self.plan
        if plan is None:
            return Prediction(tokens, counted)
        whole = tokens + ledger.reserve
        memory = plan.architecture.is_known and not plan.architecture.server
        first = plan.prefill.seconds(tokens) if plan.prefill else None
        rate = self.rate or self._computed_rate(plan, whole)
        is_computed = isinstance(plan.prefill, RooflinePrefill)
        says_first = first is not None and not (is_computed and first < SHORTEST_COMPUTED)
        says_rate = rate is not None and not (self.rate is None and rate > 1 / SHORTEST_COMPUTED_TOKEN)
        reason = plan.prefill.reason if plan.prefill else ""
        if is_computed and not (says_first and says_rate):
            reason = f"{reason}, {_TOO_SHORT}"
        return Prediction(
            prompt_tokens=tokens,
            counted=counted,
            seconds_to_first_token=first if says_first else None,
            tokens_per_second=rate if says_rate else None,
            memory=estimate_memory(plan.architecture, plan.deployment, whole).upper.total if memory else None,
            source=reason,
        )

    @staticmethod
    def _computed_rate(plan: ReaderPlan, tokens: int) -> float | None:
        if plan.speed is None or not plan.architecture.is_known or not plan.architecture.causal:
            return None
        return tokens_per_second(plan.architecture, plan.deployment, plan.speed, tokens)


def plan_model(
    generator: Generator,
    limits: PromptLimits,
    timings: Callable[[GeneratorDescription], Sequence[TimedAnswer]],
    *,
    open_file: Callable[[Path], TokenCounter],
    ask: bool = True,
) -> PlannedModel:
    """The model that `generator` runs, as a reader.

    `timings` finds earlier measurements of it. `open_file` reads a `tokenizer.json`. Without `ask` nothing is
    loaded, neither here nor by the server. A model that cannot be asked is planned for by estimates.
    """
    description = generator.description
    try:
        if description.endpoint and ask:
            generator.prepare()
        timed = timings(generator.description)
        plan = _timed_plan(description.target, limits, timed)
        if generator.peak_memory is not None and limits.memory is None:
            plan = _with_weights_held(plan)
        counter = open_counter(plan.tokenizer, plan.architecture, open_file=open_file, key=plan.key)
        reader = plan.reader(counter)
        if not description.endpoint and ask:
            generator.prepare()
        return PlannedModel(reader, plan, rate=rate_from_timings(timed))
    except (ArchitectureError, GenerationError) as failure:
        if not description.endpoint and isinstance(failure, ArchitectureError):
            failure = ArchitectureError(failure.message, hint=NAMING_HINT)
        return PlannedModel(_unasked(description.name, limits, failure), None, failure)


def _timed_plan(target: str, limits: PromptLimits, timed: Sequence[TimedAnswer]) -> ReaderPlan:
    """The plan; what was measured before stands in for timing the model or the machine anew."""
    measured = prefill_from_timings(timed)
    plan = plan_reader(
        target,
        window=limits.window,
        memory=limits.memory,
        latency=None if measured else limits.latency,
        effective=limits.effective,
        tells_time=measured is None,
    )
    if measured is None:
        return plan
    seconds = parse_seconds(limits.latency) if isinstance(limits.latency, str) else limits.latency
    return replace(plan, prefill=prefill_from_timings(timed, plan.architecture), seconds=seconds)


def _with_weights_held(plan: ReaderPlan) -> ReaderPlan:
    """The plan of a model that is loaded already: its weights are no longer free, and needed no more."""
    if plan.memory is None:
        return plan
    held = plan.architecture.stored_bytes
    reason = f"{plan.memory.reason}, and the weights that are loaded"
    return replace(plan, memory=replace(plan.memory, bytes=plan.memory.bytes + held, reason=reason))


def _unasked(name: str, limits: PromptLimits, failure: RagstackError) -> ReaderModel:
    """A reader of which nothing is known: the usual window, estimated tokens, a margin."""
    window = limits.window or DEFAULT_WINDOW
    return ReaderModel(
        name=name,
        window=window,
        counter=EstimatedCounter(),
        counter_is_own=False,
        reserve=min(LARGEST_RESERVE, window // 8),
        overhead=ROLE_TOKENS,
        window_reason="given" if limits.window else "assumed: nobody says",
        notes=(f"the model could not be asked, so its tokens are estimated: {failure.message}",),
    )
