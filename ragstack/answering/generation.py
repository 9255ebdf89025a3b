"""Has a language model write an answer: streams it, times it, and keeps what there is when it fails.

Which prompt is sent is decided before, whether the answer holds is checked after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from ragstack.answering.thoughts import Thoughts, without_thoughts
from ragstack.errors import GenerationError
from ragstack.records import Generation, Generator, Message, Piece

CUT_SHARE = 0.9
CUT_SHARE_ESTIMATED = 0.6
"""A server that reports fewer tokens than this share of what was sent has cut the prompt. Estimates are by
design too high: up to 1.5 times the count for Western text (`counting.EstimatedCounter`)."""

INTERRUPTED = "stopped by Ctrl-C"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the complexity model expects of one generation; None where it cannot say.

    `prompt_tokens` are exact if `counted`. `memory` is an upper bound in bytes. `source` says where the
    seconds come from.
    """

    prompt_tokens: int
    counted: bool
    seconds_to_first_token: float | None = None
    tokens_per_second: float | None = None
    memory: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """The text that a model wrote, as far as it came, how it did, and what a user should be told."""

    text: str
    generation: Generation
    warnings: tuple[str, ...] = ()


def write_answer(
    generator: Generator,
    messages: Sequence[Message],
    *,
    max_tokens: int,
    prediction: Prediction,
    show: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Written:
    """Stream an answer of at most `max_tokens` tokens; `show` is given each stretch as it comes.

    A failure and Ctrl-C end the answer, not the program: `Written.generation.error` says so then. What the
    model thinks before it answers is timed and not kept.
    """
    started = clock()
    texts: list[str] = []
    thoughts = Thoughts()
    first: float | None = None
    ending = Piece("")
    error, hint = "", ""
    try:
        with closing(generator.stream(messages, max_tokens=max_tokens)) as pieces:
            for piece in pieces:
                if piece.text:
                    first = clock() - started if first is None else first
                    _tell(thoughts.answered(piece.text), texts, show)
                ending = piece
            _tell(thoughts.rest(), texts, show)
    except GenerationError as failure:
        error, hint = failure.message, failure.hint or ""
    except KeyboardInterrupt:
        error = INTERRUPTED
    seconds = clock() - started
    written = ending.answer_tokens
    generation = Generation(
        model=generator.description.model,
        endpoint=generator.description.endpoint,
        prompt_tokens=ending.prompt_tokens,
        predicted_prompt_tokens=prediction.prompt_tokens,
        answer_tokens=written,
        seconds_to_first_token=first,
        predicted_seconds_to_first_token=prediction.seconds_to_first_token,
        seconds=seconds,
        tokens_per_second=_rate(written, first, seconds),
        predicted_tokens_per_second=prediction.tokens_per_second,
        memory=generator.peak_memory,
        predicted_memory=prediction.memory,
        prediction=prediction.source,
        finish_reason=ending.finish_reason,
        error=error,
        hint=hint,
    )
    text = without_thoughts("".join(texts)).strip()
    return Written(text, generation, tuple(_warnings(text, generation, prediction, max_tokens)))


def _tell(text: str, texts: list[str], show: Callable[[str], None] | None) -> None:
    if text:
        texts.append(text)
        if show is not None:
            show(text)


def _rate(tokens: int | None, first: float | None, seconds: float) -> float | None:
    """Tokens a second after the first; None for fewer than two of them or no time at all."""
    if tokens is None or first is None or tokens < 2 or seconds <= first:
        return None
    return (tokens - 1) / (seconds - first)


def _warnings(text: str, generation: Generation, prediction: Prediction, max_tokens: int) -> Iterator[str]:
    """What is wrong with an answer that did arrive."""
    read, sent = generation.prompt_tokens, prediction.prompt_tokens
    share = CUT_SHARE if prediction.counted else CUT_SHARE_ESTIMATED
    if read is not None and read < share * sent:
        yield (
            f"the model read {read:,} tokens of a prompt of {'' if prediction.counted else 'about '}{sent:,}:"
            " its server has cut the prompt, so give `--window` what it has allocated"
        )
    if generation.finish_reason == "length":
        yield f"the answer ends at the reserve of {max_tokens:,} tokens; raise `--reserve` for a longer one"
    if not text and not generation.error:
        yield "the model wrote nothing; a model that thinks first may need a larger `--reserve`"
