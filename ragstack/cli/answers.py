"""Prints answers: their text as it is written, their sources, and how a language model did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter

from ragstack.cli import console
from ragstack.cli.places import place, source
from ragstack.cli.quantities import size
from ragstack.records import Answer, Citation, Generation, Passage


class AnswerStream:
    """Writes a text to stdout as it comes, made harmless; `has_begun` says whether there was any."""

    def __init__(self) -> None:
        self.has_begun = False
        self._held = ""
        self._ends_line = True

    def show(self, text: str) -> None:
        """Write the next stretch."""
        text = self._held + (text if self.has_begun else text.lstrip())
        # A carriage return may be the first half of a line break.
        self._held = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r")
        if text:
            self.has_begun = True
            self._ends_line = text.endswith("\n")
            console.write_on(console.safe_text(text))

    def finish(self) -> None:
        """End the last line, and leave a blank one before what follows."""
        if self.has_begun:
            console.write("" if self._ends_line else "\n")


def source_lines(answer: Answer) -> list[str]:
    """One line a number, in order, each with the identity by which `ragstack inspect citation` opens it.

    Of an answer that a language model could not give, all passages that it would have read.
    """
    if shows_passages(answer):
        return [
            f"[{number}] {place(each.path, each.location, each.headings)}  {_whole(number, each).identity}"
            for number, each in enumerate(answer.passages, start=1)
        ]
    numbered = groupby(sorted(answer.citations, key=attrgetter("number")), attrgetter("number"))
    return [f"[{number}] {_source(list(same), answer)}" for number, same in numbered]


def _whole(number: int, passage: Passage) -> Citation:
    return Citation(number, passage, passage.start, passage.end, passage.text, passage.location)


def shows_passages(answer: Answer) -> bool:
    """Whether the passages are all there is to show: a model was to answer, and cited nothing or failed."""
    return answer.generation is not None and not answer.citations and bool(answer.passages)


def _source(citations: Sequence[Citation], answer: Answer) -> str:
    whole = replace(
        citations[0], start=min(each.start for each in citations), end=max(each.end for each in citations)
    )
    return f"{source(citations, answer.hits)}  {whole.identity}"


def statistics(answer: Answer) -> None:
    """What was measured of the generation beside what was predicted, to stderr."""
    if answer.generation is None:
        console.note("no language model wrote this answer, so there is nothing to time")
        return
    for line in statistics_lines(answer.generation):
        console.note(line)


def statistics_lines(generation: Generation) -> Iterator[str]:
    """One line a quantity: measured, and predicted in brackets."""
    yield _line("prompt", _tokens(generation.prompt_tokens), _tokens(generation.predicted_prompt_tokens))
    yield _line(
        "first token",
        _seconds(generation.seconds_to_first_token),
        _seconds(generation.predicted_seconds_to_first_token),
    )
    yield _line("writing", _rate(generation.tokens_per_second), _rate(generation.predicted_tokens_per_second))
    yield f"answer: {_tokens(generation.answer_tokens) or 'not counted'} in {generation.seconds:.2f} s"
    if generation.memory or generation.predicted_memory:
        yield _line("memory", _size(generation.memory), _size(generation.predicted_memory), "at most ")
    if generation.prediction:
        yield f"predicted by {generation.prediction}"


def _line(name: str, measured: str, predicted: str, bound: str = "") -> str:
    return (
        f"{name}: {measured or 'not measured'} (predicted: {bound}{predicted})"
        if predicted
        else (f"{name}: {measured or 'not measured'} (no prediction)")
    )


def _tokens(count: int | None) -> str:
    return "" if count is None else f"{count:,} tokens"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3g} s"


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.1f} tokens/s"


def _size(count: int | None) -> str:
    return "" if count is None else size(count)
