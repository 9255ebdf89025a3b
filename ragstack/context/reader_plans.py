"""How a language model will read a prompt, and what limits it: model, engine, memory, speed, tokenizer.

Puts together what the other modules find out, from what a user names; `ledger` is given the limits, and
`budget` describes the plan. No token is counted and no model is run here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from ragstack.config import DEFAULT_WINDOW
from ragstack.context.architectures.description import Architecture
from ragstack.context.architectures.lookup import describe_model
from ragstack.context.architectures.quantization import storage_type
from ragstack.context.counting import ROLE_TOKENS, ServerCounter, TokenizerPlace, find_tokenizer
from ragstack.context.deployment import (
    Deployment,
    Device,
    Engine,
    Regime,
    planned_deployment,
    usual_engine,
)
from ragstack.context.gpus import PublishedGpu, require_gpu
from ragstack.context.hardware import (
    AvailableMemory,
    available_memory,
    machine_speed,
    measure_speed,
    parse_memory,
)
from ragstack.context.keys import KEY_VARIABLE, api_key
from ragstack.context.latency import RooflinePrefill, Speed, calibrate_prefill, parse_seconds
from ragstack.context.readers import ReaderModel, TokenCounter
from ragstack.context.solver import PrefillTime, prompt_limits
from ragstack.errors import UsageError
from ragstack.records import LedgerTerm

LARGEST_RESERVE = 1_024
VLLM_SHARE = 0.9
_PLAIN_TYPES = ("f32", "f16", "bf16")
_LOOPBACK = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:|/|$)", re.IGNORECASE)


@dataclass(frozen=True)
class ReaderPlan:
    """A language model, how it is run, and with what.

    `memory` is None where memory does not limit the prompt (`memory_reason` says why), `prefill` and `speed`
    where nothing is known of the time. `window_reason` says whose word the window is. `seconds` is the
    longest wait for the first token, `effective` whether the published effective length is a limit too,
    `key` the API key of a server.
    """

    architecture: Architecture
    deployment: Deployment
    engine_reason: str
    tokenizer: TokenizerPlace
    memory: AvailableMemory | None
    memory_reason: str
    speed: Speed | None
    prefill: PrefillTime | None
    window_reason: str
    seconds: float | None = None
    effective: bool = False
    key: str | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def window(self) -> int:
        """Tokens of a prompt and its answer."""
        return self.architecture.window or DEFAULT_WINDOW

    @property
    def reserve(self) -> int:
        """Tokens kept for the answer if the user says nothing: an eighth of the window, at most 1,024."""
        return min(LARGEST_RESERVE, self.window // 8)

    def limits(self, reserve: int) -> tuple[LedgerTerm, ...]:
        """The limits on a prompt beside the window. Raises UsageError for a latency that cannot be judged."""
        if self.seconds is not None and self.prefill is None:
            raise UsageError(
                f"how fast {self.architecture.name} reads a prompt is not known, so a latency limits nothing",
                hint="name its GPU with `--gpu`, or time it with `--measure`, in `ragstack budget`",
            )
        memory = self.memory.bytes if self.memory else None
        terms = prompt_limits(
            self.architecture,
            self.deployment,
            reserve=reserve,
            memory=memory,
            prefill=self.prefill,
            seconds=self.seconds,
            effective=self.effective,
        )
        return tuple(terms)

    def reader(self, counter: TokenCounter) -> ReaderModel:
        """What the ledger and the packer need to know of the reader, whose tokens `counter` counts."""
        roles = counter.role_tokens() if isinstance(counter, ServerCounter) else ROLE_TOKENS
        return ReaderModel(
            name=self.architecture.name,
            window=self.window,
            counter=counter,
            counter_is_own=self.tokenizer.is_own,
            reserve=self.reserve,
            overhead=roles,
            window_reason=self.window_reason,
            notes=(self.tokenizer.reason, *(() if self.memory else (self.memory_reason,)), *self.notes),
        )


def plan_reader(
    target: str,
    *,
    window: int | None = None,
    memory: str | None = None,
    latency: str | float | None = None,
    engine: str | None = None,
    regime: Regime = Regime.FUSED,
    cache_type: str | None = None,
    parallel: int | None = None,
    gpu: str | None = None,
    measure: bool = False,
    effective: bool = False,
    tells_time: bool = True,
) -> ReaderPlan:
    """The plan of the model that `target` names: see `describe_model`; `URL#MODEL` names one of a server's.

    `memory` (`8GB`) and `gpu` (`RTX 4090`) stand for a machine that is not this one. `latency` is seconds, or
    a text such as `5s`. With `measure` a server is timed by two prompts, and this processor by two short
    computations; a server elsewhere is timed also where a latency asks for it. Without `tells_time` the
    machine's speed is not found out.

    Raises ArchitectureError for a model that cannot be described, UsageError for settings that cannot be.
    """
    place = _Place.named(target)
    described = describe_model(place.address, model=place.model, key=place.key)
    architecture = _with_window(described, window)
    card = require_gpu(gpu) if gpu else None
    chosen, engine_reason = (engine, "given") if engine else usual_engine(architecture)
    free, memory_reason = _memory(described, place, memory, card)
    if free is not None and memory is None and chosen == Engine.VLLM:
        free = _share_of_vllm(free)
    deployment = planned_deployment(
        chosen,
        regime=regime,
        cache_type=cache_type,
        parallel=parallel or architecture.server_slots,
        activation_type=_activation_type(architecture),
        device=_device(place, free),
    )
    architecture = _as_loaded(architecture, deployment)
    seconds = parse_seconds(latency) if isinstance(latency, str) else latency
    speed, prefill = None, None
    if architecture.server and (measure or (seconds is not None and card is None and not place.is_local)):
        prefill = _timed(architecture, place)
    elif tells_time and architecture.is_known:
        speed = _speed(place, free, card, measure=measure and not architecture.server)
        prefill = RooflinePrefill(architecture, deployment, speed) if speed else None
    return ReaderPlan(
        architecture=architecture,
        deployment=deployment,
        engine_reason=engine_reason,
        tokenizer=find_tokenizer(target, architecture),
        memory=free,
        memory_reason=memory_reason,
        speed=speed,
        prefill=prefill,
        window_reason=_window_words(described, architecture),
        seconds=seconds,
        effective=effective,
        key=place.key,
        notes=(*architecture.notes, *_unmeasured(measure, speed, free)),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """What a user named: an address with perhaps one of its models, or anything else on this machine."""

    address: str
    model: str | None = None
    key: str | None = None
    is_local: bool = True

    @classmethod
    def named(cls, target: str) -> _Place:
        if not re.match(r"https?://", target, re.IGNORECASE):
            return cls(target)
        address, _, model = target.partition("#")
        if "@" in address.split("/")[2]:
            raise UsageError(
                "the address holds a name or a key, which the ledger would show",
                hint=f"give the key in the environment variable `{KEY_VARIABLE}`, the address without it",
            )
        return cls(address, model or None, api_key(address), _LOOPBACK.match(address) is not None)


def _window_words(described: Architecture, planned: Architecture) -> str:
    """Whose word the window is: `given`, `trained (published)`, `allocated (server)`."""
    if planned.window != described.window:
        return "given"
    reason = described.window_reason
    if reason == "unknown":
        return "assumed: nobody says"
    return f"{reason} ({'server' if described.server else origin(described)})"


def origin(architecture: Architecture) -> str:
    """Where the layers are from: the model's file, its server, or what was published of its name."""
    if "https://huggingface.co/" in architecture.source:
        return "published"
    return "server" if architecture.server else "model file"


def _with_window(architecture: Architecture, window: int | None) -> Architecture:
    """The same with the window that a user gives; a server's is never exceeded."""
    if window is None:
        return architecture
    allocated = architecture.allocated_window
    if allocated is not None and allocated <= window:
        return architecture
    longest = architecture.scaled_window or architecture.trained_window
    notes = architecture.notes
    if longest is not None and window > longest:
        notes += (f"the window of {window:,} tokens is beyond the {longest:,} that the model is made for",)
    return replace(architecture, requested_window=window, allocated_window=None, notes=notes)


def _as_loaded(architecture: Architecture, deployment: Deployment) -> Architecture:
    """The same with its weights in the type that transformers computes in, which it converts them to."""
    kind, wanted = architecture.weight_type, deployment.activation_type
    if deployment.engine is not Engine.TRANSFORMERS or kind not in _PLAIN_TYPES or kind == wanted:
        return architecture
    stored = architecture.stored_bytes * storage_type(wanted).block_bytes // storage_type(kind).block_bytes
    note = f"transformers converts the weights from {kind} to {wanted}, the type that it computes in"
    return replace(architecture, weight_type=wanted, weight_bytes=stored, notes=(*architecture.notes, note))


def _share_of_vllm(free: AvailableMemory) -> AvailableMemory:
    """What vLLM takes of a GPU by default, `--gpu-memory-utilization 0.9`."""
    reason = f"{VLLM_SHARE:.0%} (vLLM's default share) of what is {free.reason}"
    return replace(free, bytes=int(free.bytes * VLLM_SHARE), reason=reason)


def _activation_type(architecture: Architecture) -> str | None:
    """What transformers computes in: the type of plain weights."""
    return architecture.weight_type if architecture.weight_type in _PLAIN_TYPES else None


def _memory(
    architecture: Architecture, place: _Place, given: str | None, card: PublishedGpu | None
) -> tuple[AvailableMemory | None, str]:
    """The memory that limits the prompt, and why it is that or why none does."""
    if card is not None:
        reason = f"given: {given}" if given else f"published: {card.name} ({card.source})"
        size = parse_memory(given) if given else card.memory
        return AvailableMemory(size, Device.GPU, reason, card.name), reason
    if given is not None:
        free = available_memory(given)
        return free, free.reason
    if not place.is_local:
        return None, "memory is no limit: how much the server has is not known"
    if architecture.allocated_window and architecture.server:
        return None, "memory is no limit: the server holds its window already"
    if not architecture.is_known:
        return None, "memory is no limit: the model's layers are not known"
    free = available_memory()
    return free, free.reason


def _device(place: _Place, free: AvailableMemory | None) -> Device:
    """Where the model runs: where its memory is; a server elsewhere is taken to have a GPU."""
    if free is None and not place.is_local:
        return Device.GPU
    return (free or available_memory()).device


def _speed(
    place: _Place, free: AvailableMemory | None, card: PublishedGpu | None, *, measure: bool
) -> Speed | None:
    """The speed of the machine that runs the model; None where it is another one, or not known."""
    if card is not None:
        return card.speed
    if not place.is_local:
        return None
    here = free or available_memory()
    return measure_speed() if measure and here.device is Device.CPU else machine_speed(here)


def _unmeasured(measure: bool, speed: Speed | None, free: AvailableMemory | None) -> tuple[str, ...]:
    if measure and speed is not None and free is not None and free.device is Device.GPU:
        return ("a GPU is not measured from here: its speed is the published one",)
    return ()


def _timed(architecture: Architecture, place: _Place) -> PrefillTime:
    """Time to first token by two prompts that the server reads now."""
    from ragstack.context.timing import time_prompts

    prompts = time_prompts(place.address, architecture.name, window=architecture.window, key=place.key)
    return calibrate_prefill(*prompts, architecture)
