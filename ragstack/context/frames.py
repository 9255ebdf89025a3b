"""What stands round the passages of a prompt: the numbered header of each, and the fixed parts.

A frame is made for one question. The ledger charges its fixed parts, the packer charges the header of every
passage, and both come from the text that is sent, so the numbers cannot drift apart. The frame of a language
model's prompt lies in `answering.prompt`; here is only the contract, and the frame of the extractive answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ragstack.records import Passage

MAXIMUM_HEADER_CHARACTERS = 160
"""A header names a place, and the places of copies; longer ones would cost more tokens than they explain."""


@dataclass(frozen=True, slots=True)
class FramePart:
    """A fixed part of a prompt that the ledger charges under its own name."""

    name: str
    text: str
    reason: str


class PromptFrame(Protocol):
    """Turns passages into the prompt of one question.

    `render(passages)` is the whole prompt, in which each passage stands as `opening + text + closing`;
    `parts` are the pieces of `render([])` that are charged by name, what is left of it is the template.
    """

    @property
    def parts(self) -> tuple[FramePart, ...]:
        """The system prompt, the question, the history: what is charged under its own name."""
        ...

    def opening(self, number: int, passage: Passage) -> str:
        """What stands before the text of passage `number`."""
        ...

    @property
    def closing(self) -> str:
        """What stands after the text of every passage."""
        ...

    def render(self, passages: Sequence[Passage]) -> str:
        """The whole prompt; passages are numbered from 1."""
        ...


@dataclass(frozen=True, slots=True)
class PrintedFrame:
    """The frame of the extractive answer: the question, then each passage under its printed header.

    There is no system prompt and no template, but the headers are charged all the same: they are what a
    person reads above each source, and the numbers stay comparable when a language model takes over.
    """

    question: str

    @property
    def parts(self) -> tuple[FramePart, ...]:
        """The question alone."""
        return (FramePart("question", self.question, "is never cut"),)

    def opening(self, number: int, passage: Passage) -> str:
        """The header line."""
        return passage_header(number, passage) + "\n"

    @property
    def closing(self) -> str:
        """A blank line."""
        return "\n\n"

    def render(self, passages: Sequence[Passage]) -> str:
        """The question, a blank line, the passages under their headers."""
        framed = [frame_passage(self, number, passage) for number, passage in enumerate(passages, start=1)]
        return f"{self.question}\n\n" + "".join(framed)


def frame_passage(frame: PromptFrame, number: int, passage: Passage) -> str:
    """The passage as it stands in the prompt."""
    return frame.opening(number, passage) + passage.text + frame.closing


def passage_header(number: int, passage: Passage) -> str:
    """`[2] notes/porter.md, lines 10-24, Setup > Network`, always one line of bounded length.

    Where else the text stands comes after it: a reader would miss it there, since it is given only once.
    """
    place = [_one_line(passage.path), str(passage.location), _one_line(" > ".join(passage.headings))]
    header = _bounded(", ".join(part for part in place if part))
    if passage.also_in:
        header += f"; also in {_bounded(', '.join(map(_one_line, passage.also_in)))}"
    return f"[{number}] {header}"


def _bounded(text: str) -> str:
    if len(text) <= MAXIMUM_HEADER_CHARACTERS:
        return text
    return text[: MAXIMUM_HEADER_CHARACTERS - 3] + "..."


def _one_line(text: str) -> str:
    """The text without line breaks and control characters: names come from files and are not trusted."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
