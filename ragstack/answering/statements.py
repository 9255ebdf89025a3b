"""The sentences of packed passages that an answer may be made of, each with its exact span and surroundings.

Headings and questions are no answers, but they say what the sentences under them are about; so does the
header row of a table for its rows. Nothing is scored here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragstack.answering.terms import pairs, terms
from ragstack.chunking.sentences import sentence_spans
from ragstack.records import Passage

_HEADING = re.compile(r"#{1,6}\s+(?P<title>.+?)\s*#*$")
_QUESTION = re.compile(r".*\?[\"')*_]*$", re.DOTALL)
_RULE = re.compile(r"[\s|:=+*_-]+$")
_MARKER = re.compile(r"(?:[-*+•‣◦▪●]|\(?\d{1,3}[.)])\s+(?=\S)|>\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, list item or table row of a passage: `[start, end)` of its document.

    `number` is the passage's, from 1. `topic` is what it is about by its headings. `header` is the span of
    the header row of the table that it is a row of. `terms` and `pairs` of neighbouring terms are its own,
    `position` its place among the statements of its passage.
    """

    number: int
    passage: Passage
    position: int
    start: int
    end: int
    topic: str
    terms: frozenset[str]
    pairs: frozenset[tuple[str, str]] = frozenset()
    header: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """The exact text."""
        return self.passage.text[self.start - self.passage.start : self.end - self.passage.start]

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a table."""
        return self.text.startswith("|")

    @property
    def topical_text(self) -> str:
        """The text with its topic before it, as chunks are embedded."""
        return f"{self.topic}: {self.text}" if self.topic else self.text


def statements(passages: Sequence[Passage]) -> list[Statement]:
    """All statements of the passages, which are numbered from 1, in order."""
    return [
        statement
        for number, passage in enumerate(passages, start=1)
        for statement in _statements_of(number, passage)
    ]


def _statements_of(number: int, passage: Passage) -> Iterator[Statement]:
    """One statement a sentence; what is a heading, a question, a rule or a header row serves the others."""
    text = passage.text
    spans = sentence_spans(text, 0, len(text))
    name = passage.title or ""
    topic = _topic(name, passage.headings[-1] if passage.headings else "")
    header: tuple[int, int] | None = None
    position = 0
    for (start, end), following in pairwise([*spans, (len(text), len(text))]):
        sentence = text[start:end]
        if (heading := _HEADING.match(sentence)) is not None:
            topic, header = _topic(name, heading["title"]), None
        elif _QUESTION.match(sentence):
            if "\n" in text[end : following[0]]:
                topic = _topic(name, sentence)
        elif not _RULE.match(sentence):
            is_row = sentence.startswith("|")
            if is_row and _is_table_rule(text[slice(*following)]):
                header = (passage.start + start, passage.start + end)
                continue
            header = header if is_row else None
            begin = start + _marker_length(sentence)
            own = terms(text[begin:end])
            yield Statement(
                number=number,
                passage=passage,
                position=position,
                start=passage.start + begin,
                end=passage.start + end,
                topic=topic,
                terms=frozenset(own),
                pairs=pairs(own),
                header=header,
            )
            position += 1


def _topic(name: str, heading: str) -> str:
    """The name of the document and the heading, once if they are the same."""
    parts = dict.fromkeys(part for part in (name, " ".join(heading.split())) if part)
    return " > ".join(parts)


def _is_table_rule(sentence: str) -> bool:
    """Whether this is the line of dashes under the header row of a table."""
    return sentence.startswith("|") and "-" in sentence and _RULE.match(sentence) is not None


def _marker_length(sentence: str) -> int:
    marker = _MARKER.match(sentence)
    return marker.end() if marker else 0
