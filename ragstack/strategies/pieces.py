"""Reads documents sentence by sentence from blocks of bounded size, each piece counted in tokens.

Pieces tile the text: each begins where a sentence does and ends where the next begins, so that neighbours
join into exact slices. Nothing is chosen here, and never is more than one block of text in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from ragstack.chunking.sentences import sentence_starts
from ragstack.context.readers import TokenCounter
from ragstack.records import SelectedDocument, TextSource

BLOCK_CHARACTERS = 16_384
"""Text that is read at once: two blocks of the store, some 4,000 tokens."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """`[start, end)` of a document, counted; `score` says how relevant what it belongs to is (0: unknown)."""

    document: SelectedDocument
    start: int
    end: int
    text: str
    tokens: int
    score: float = 0.0


class PieceStream:
    """Pieces one after the other, of which some can be given back to be read again."""

    def __init__(self, pieces: Iterable[TextPiece]) -> None:
        self._pieces = iter(pieces)
        self._returned: deque[TextPiece] = deque()

    def __iter__(self) -> Iterator[TextPiece]:
        while (piece := self.next()) is not None:
            yield piece

    def next(self) -> TextPiece | None:
        """The next piece; None at the end."""
        return self._returned.popleft() if self._returned else next(self._pieces, None)

    def give_back(self, pieces: Iterable[TextPiece]) -> None:
        """Put pieces, in their order, before what comes next."""
        self._returned.extendleft(reversed(list(pieces)))

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left."""
        piece = self.next()
        if piece is not None:
            self.give_back([piece])
        return piece is None


def pieces_of(
    document: SelectedDocument,
    source: TextSource,
    counter: TokenCounter,
    *,
    largest: int,
    start: int = 0,
    end: int | None = None,
    score: float = 0.0,
) -> Iterator[TextPiece]:
    """The pieces of `[start, end)` of a document, none of more than `largest` tokens if blanks allow."""
    stop = document.characters if end is None else end
    while start < stop:
        text = source.read_text(document.document_id, start, min(start + BLOCK_CHARACTERS, stop))
        if not text:  # the stored length and the stored text disagree; `verify` says so
            return
        texts = _sentences(text, is_last=start + len(text) >= stop)
        for sentence, tokens in _counted(texts, counter, largest):
            yield TextPiece(document, start, start + len(sentence), sentence, tokens, score)
            start += len(sentence)


def _sentences(text: str, *, is_last: bool) -> list[str]:
    """The tiles of a block; the last sentence is left to the next block, where it may go on."""
    starts = sentence_starts(text, 0, len(text))
    cuts = [0, *starts[1:], len(text)]
    if not is_last and len(cuts) > 2:
        cuts.pop()
    return [text[first:last] for first, last in pairwise(cuts)]


def _counted(texts: list[str], counter: TokenCounter, largest: int) -> Iterator[tuple[str, int]]:
    for text, tokens in zip(texts, counter.count_many([text.rstrip() for text in texts]), strict=True):
        if tokens <= largest or len(text) < 2:
            yield text, tokens
        else:
            yield from _counted(_halves(text), counter, largest)


def _halves(text: str) -> list[str]:
    """A text in two, after the blank that is next to its middle, or in the middle of a word without one."""
    middle = len(text) // 2
    blank = max(text.rfind(" ", 1, middle), text.rfind("\n", 1, middle))
    cut = blank + 1 if blank > len(text) // 4 else middle
    return [text[:cut], text[cut:]]
