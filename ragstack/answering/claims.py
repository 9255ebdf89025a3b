"""Takes a generated answer apart: its sentences, the numbers that each cites, what each puts in quotes.

Works on the text alone; whether a number exists and a source bears a sentence out is checked elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragstack.chunking.sentences import sentence_spans

# [2], [1, 3], [1-3], [Source 2]; full-width brackets as some models write them. Not [2023]: four digits.
_MARKER = re.compile(
    r"[\[【]\s*(?:sources?\s*:?\s*)?(?P<numbers>\d{1,3}(?:\s*(?:[,;&–-]|and)\s*\d{1,3})*)\s*[\]】]",
    re.IGNORECASE,
)
_MARKERS = re.compile(rf"(?:\s*{_MARKER.pattern.replace('?P<numbers>', '')})+", re.IGNORECASE)
_QUOTE = re.compile(r"\"([^\"\n]{3,})\"|“([^”\n]{3,})”|«([^»\n]{3,})»|„([^“\n]{3,})“")
_MOST_OF_A_RANGE = 20

SHORTEST_QUOTE_WORDS = 3
"""Fewer words in quotation marks are as likely a name or a term as a quotation."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence `[start, end)` of the answer with its markers; `text` is it without them.

    `numbers` come in order, each once. `quotes` are the passages in quotation marks, without the marks.
    """

    start: int
    end: int
    text: str
    numbers: tuple[int, ...]
    quotes: tuple[str, ...] = ()


def claims(answer: str) -> list[Claim]:
    """The sentences of an answer, in order. Markers after a full stop belong to the sentence before it."""
    return [_claim(answer, start, end) for start, end in _sentences(answer)]


def without_markers(text: str) -> str:
    """The text without the numbers of sources."""
    return _MARKERS.sub("", text)


def _sentences(answer: str) -> Iterator[tuple[int, int]]:
    """The spans of sentences, each with the markers that follow it."""
    held: tuple[int, int] | None = None
    for start, end in sentence_spans(answer, 0, len(answer)):
        begin = start
        leading = _MARKERS.match(answer, start, end)
        if leading is not None and held is not None and "\n\n" not in answer[held[1] : start]:
            held = (held[0], leading.end())
            begin = leading.end()
        if not answer[begin:end].strip():
            continue
        if held is not None:
            yield held
        held = (begin + len(answer[begin:end]) - len(answer[begin:end].lstrip()), end)
    if held is not None:
        yield held


def _claim(answer: str, start: int, end: int) -> Claim:
    sentence = answer[start:end]
    numbers = dict.fromkeys(
        number for marker in _MARKER.finditer(sentence) for number in _numbers(marker["numbers"])
    )
    text = " ".join(without_markers(sentence).split())
    quotes = tuple(quote for quote in _quotes(text) if len(quote.split()) >= SHORTEST_QUOTE_WORDS)
    return Claim(start, end, text, tuple(numbers), quotes)


def _numbers(listed: str) -> Iterator[int]:
    """The numbers of `1, 3` or `2-4`; a range too long to be meant gives its ends."""
    for part in re.split(r"[,;&]|and", listed):
        first, *rest = (int(number) for number in re.findall(r"\d+", part))
        last = rest[-1] if rest else first
        yield from range(first, last + 1) if first <= last < first + _MOST_OF_A_RANGE else (first, last)


def _quotes(text: str) -> Iterator[str]:
    for match in _QUOTE.finditer(text):
        yield next(group for group in match.groups() if group is not None).strip(" .,;:…")
