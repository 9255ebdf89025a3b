"""The sentences of packed passages that an answer may be made of, each with its exact span and surroundings.

Headings and questions are no answers, but they say what the sentences under them are about; so does the
header row of a table for its rows. Nothing is scored here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from ragstack.answering.terms import pairs, terms
from ragstack.chunking.sentences import sentence_spans
from ragstack.records import Passage

_HEADING = re.compile(r"#{1,6}\s+(?P<title>.+?)\s*#*$")
_PLAIN_HEADING = re.compile(r"(?:[\d.]+\s+)?(?=[^\W\d_])[^\n\d:|=(){}`]{1,80}(?<![.!?:;,|])$")
_QUESTION = re.compile(r".*\?[\"')*_]*$", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}(?:`{3,}|~{3,})[ ]*(?P<language>\w*).*$", re.MULTILINE)
_RULE = re.compile(r"[\s|:=+*_-]+$")
_MARKER = re.compile(r"(?:[-*+•‣◦▪●]|\(?\d{1,3}[.)])\s+(?=\S)|>\s+(?=\S)")
_CELL_BORDER = " | "
_MOST_HEADING_WORDS = 10


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
        return _is_row(self.text)

    @property
    def header_text(self) -> str:
        """The text of the header row, which names what stands in the columns; empty without one."""
        if self.header is None:
            return ""
        start, end = self.header
        return self.passage.text[start - self.passage.start : end - self.passage.start]

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
    name = passage.title or ""
    topic = _topic(name, passage.headings[-1] if passage.headings else "")
    header: tuple[int, int] | None = None
    code = list(_fenced_code(text))
    position = 0
    for (start, end), following in pairwise([*_sentences_and_rows(text), (len(text), len(text))]):
        sentence = text[start:end]
        title = _title(text, start, end, following[0])
        if title is not None:
            topic, header = _topic(name, title), None
            continue
        if _RULE.match(sentence) or _QUESTION.match(sentence):
            continue
        if any(start < last and first < end for first, last in code):
            continue
        own_header, header = header, header if _is_row(sentence) else None
        if _is_row(sentence) and header is None:
            has_rule = _is_table_rule(text[slice(*following)])
            if has_rule or not sentence.startswith("|"):
                header = (passage.start + start, passage.start + end)
            if has_rule:
                continue
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
            header=own_header if _is_row(sentence) else None,
        )
        position += 1


def _fenced_code(text: str) -> Iterator[tuple[int, int]]:
    """The spans of fenced code, fences included; a passage may begin or end inside a block.

    Lines of code are shown with the passage, but sentences of an answer they are not.
    """
    fences = list(_FENCE.finditer(text))
    if fences and not fences[0]["language"] and len(fences) % 2:
        yield 0, fences[0].end()  # a bare fence without a partner closes what began before the passage
        fences = fences[1:]
    for opening, closing in zip_longest(fences[::2], fences[1::2]):
        yield opening.start(), closing.end() if closing else len(text)


def _sentences_and_rows(text: str) -> Iterator[tuple[int, int]]:
    """The sentences of a text; rows of a table are apart even if they look like lines of a paragraph."""
    for start, end in sentence_spans(text, 0, len(text)):
        if _CELL_BORDER not in text[start:end]:
            yield start, end
            continue
        for line in re.finditer(r"\S[^\n]*", text[start:end]):
            yield start + line.start(), start + line.start() + len(line.group().rstrip())


def _is_row(sentence: str) -> bool:
    return sentence.startswith("|") or _CELL_BORDER in sentence


def _title(text: str, start: int, end: int, following: int) -> str | None:
    """What the sentences below are about, if this is a heading or a question on lines of its own.

    A heading without markup is a short line between blank lines that neither ends as a sentence does nor
    holds a number, a colon or cells.
    """
    sentence = text[start:end]
    if (heading := _HEADING.match(sentence)) is not None:
        return heading["title"]
    blanks_after = text[end:following]
    if _QUESTION.match(sentence):
        return sentence if "\n" in blanks_after else None
    is_apart = blanks_after.count("\n") > 1 and (start == 0 or text.endswith("\n\n", 0, start))
    is_short = len(sentence.split()) <= _MOST_HEADING_WORDS
    return sentence if is_apart and is_short and _PLAIN_HEADING.match(sentence) else None


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
