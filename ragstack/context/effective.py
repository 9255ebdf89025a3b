"""How much of their window models use well: published effective lengths, as data with source and date.

A window says what a model accepts, not what it understands. The numbers are others' measurements; nothing
here is computed. Look-ups of literal facts (RULER) stay good far longer than questions that share no word
with their answer (NoLiMa), so both are kept apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Task(StrEnum):
    """What was asked of the model."""

    LITERAL = "literal look-up"  # RULER: needles, tracing, aggregation with shared words
    INFERENCE = "inference"  # NoLiMa: the question shares no word with the passage


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Where effective lengths come from, and what the word means there."""

    name: str
    task: Task
    criterion: str
    source: str
    date: str


RULER = Benchmark(
    "RULER",
    Task.LITERAL,
    "the longest length with a score above 85.6, that of Llama-2-7B at 4K",
    "https://github.com/NVIDIA/RULER (arXiv 2404.06654)",
    "2024-04, the table in the repository read in 2026",
)
NOLIMA = Benchmark(
    "NoLiMa",
    Task.INFERENCE,
    "the longest length with 85 % of the score on short prompts",
    "https://github.com/adobe-research/NoLiMa (arXiv 2502.05167)",
    "2025-02, read in 2026",
)


@dataclass(frozen=True, slots=True)
class EffectiveLength:
    """One model's published effective length in tokens.

    `at_least` is true where the benchmark ended before the model did, `below` where it failed at the
    shortest length, which `tokens` then is.
    """

    model: str
    benchmark: Benchmark
    tokens: int
    at_least: bool = False
    below: bool = False

    @property
    def reason(self) -> str:
        """The number's origin in one line."""
        sign = "over " if self.at_least else "under " if self.below else ""
        return f"{self.benchmark.name} ({self.benchmark.task}): {self.model} {sign}{self.tokens:,} tokens"


_K = 1_024

EFFECTIVE_LENGTHS = (
    EffectiveLength("Llama-3.1-8B", RULER, 32 * _K),
    EffectiveLength("Llama-3.1-70B", RULER, 64 * _K),
    EffectiveLength("Qwen3-4B", RULER, 64 * _K),
    EffectiveLength("Qwen3-8B", RULER, 64 * _K),
    EffectiveLength("Qwen3-14B", RULER, 128 * _K, at_least=True),
    EffectiveLength("Mistral-7B-v0.2", RULER, 16 * _K),
    EffectiveLength("Mistral-Nemo", RULER, 16 * _K),
    EffectiveLength("Phi-3-mini-128k", RULER, 32 * _K),
    EffectiveLength("Mixtral-8x7B", RULER, 32 * _K),
    EffectiveLength("GPT-4-1106", RULER, 64 * _K),
    EffectiveLength("Gemini-1.5-pro", RULER, 128 * _K, at_least=True),
    EffectiveLength("GPT-4o", NOLIMA, 8 * _K),
    EffectiveLength("Claude-3.5-Sonnet", NOLIMA, 4 * _K),
    EffectiveLength("Llama-3.3-70B", NOLIMA, 2 * _K),
    EffectiveLength("Llama-3.1-8B", NOLIMA, 1 * _K),
    EffectiveLength("Gemma-3-27B", NOLIMA, 1 * _K, below=True),
    EffectiveLength("Gemma-3-4B", NOLIMA, 1 * _K, below=True),
)

# Above this a warning is due for a model without a published number: "only half of the models effectively
# handle 32K" (RULER), and ten models fall under half of their base score at 32K (NoLiMa).
UNKNOWN_MODEL_WARNING = 32 * _K


def effective_length(model: str, task: Task = Task.LITERAL) -> EffectiveLength | None:
    """The published effective length of the model of that name, None when there is none.

    Case, punctuation, the organisation and words like `Instruct` do not matter.
    """
    wanted = _key(model)
    for entry in EFFECTIVE_LENGTHS:
        if entry.benchmark.task is task and _key(entry.model) == wanted:
            return entry
    return None


def _key(model: str) -> str:
    """The name's letters and digits, without organisation, quantisation and the words for a tuned model."""
    name = re.sub(r"[-:_](i?q\d\w*|f16|bf16|fp16)$", "", model.rsplit("/", 1)[-1].lower())
    key = re.sub(r"[^a-z0-9]", "", name)
    key = re.sub(r"(instruct|chat|it|latest|2407)+(v\d+)?$", r"\2", key).removeprefix("meta")
    return {"mistralnemo12b": "mistralnemo"}.get(key, key)


def length_warning(model: str, tokens: int) -> str | None:
    """One line when a prompt of `tokens` tokens is longer than the model is known to use well."""
    known = effective_length(model)
    if known is not None:
        longer = tokens > known.tokens and not known.at_least
        return f"the prompt is longer than what the model uses well: {known.reason}" if longer else None
    if tokens <= UNKNOWN_MODEL_WARNING:
        return None
    limit = f"half of the models that were tested fail beyond {UNKNOWN_MODEL_WARNING:,} tokens"
    return f"no effective length of {model} is published; {limit}"
