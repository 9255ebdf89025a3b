"""The paragraphs of a document, and which of them a chunk stands for, to rank paragraphs by retrieved chunks.

A paragraph is what a data set says is one; elsewhere in the document it is a line, as in the SQuAD articles.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ragstack.evaluation.spans import Span, overlap, remainder

_LINE = re.compile(r"[^\n]*\S[^\n]*")

MAIN_SHARE = 0.5
"""A chunk stands for a paragraph that has at least this share of the chunk's text, or the chunk of its."""


@dataclass(frozen=True, slots=True)
class Paragraphs:
    """The paragraphs of one document, sorted and disjoint."""

    spans: tuple[Span, ...]

    @classmethod
    def of_document(cls, document: str, text: str, known: Sequence[Span]) -> Paragraphs:
        """The `known` paragraphs (of any document) and, around them, every line that is not blank."""
        own = sorted({span for span in known if span.document == document})
        lines = (Span(document, *match.span()) for match in _LINE.finditer(text))
        around = [
            piece for line in lines for piece in remainder(line, own) if text[piece.start : piece.end].strip()
        ]
        return cls(tuple(sorted([*own, *around])))

    def of_chunk(self, chunk: Span) -> list[Span]:
        """The paragraphs that a chunk stands for, the one with most of its text first."""
        shares = {span: overlap(span, chunk) for span in self._touched(chunk)}
        ordered = sorted(shares, key=lambda span: (-shares[span], span))
        return [
            span
            for place, span in enumerate(ordered)
            if place == 0 or shares[span] >= MAIN_SHARE * min(span.length, chunk.length)
        ]

    def _touched(self, chunk: Span) -> list[Span]:
        first = max(0, bisect_right(self.spans, chunk.start, key=lambda span: span.start) - 1)
        last = bisect_right(self.spans, chunk.end - 1, key=lambda span: span.start)
        return [span for span in self.spans[first:last] if overlap(span, chunk)]
