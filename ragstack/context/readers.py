"""Who will read the prompt: its window, how its tokens are counted, what is kept for its answer.

The ledger and the packer are given one `ReaderModel` and ask nothing else about the reader. Finding out what
a model's window really is, and how much memory and time it takes, belongs to the modules that make one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ragstack.config import DEFAULT_WINDOW


class TokenCounter(Protocol):
    """Counts the tokens of texts, without special tokens; every `Tokenizer` is one, and so is a server."""

    def count(self, text: str) -> int:
        """Number of tokens of `text`."""
        ...

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, in one batch."""
        ...


@dataclass(frozen=True, slots=True)
class ReaderModel:
    """The reader of a prompt, as far as a budget is concerned; all sizes are its tokens.

    `counter_is_own` is false when the reader's tokenizer is unknown and `counter` stands in for it: the
    ledger then takes a safety margin off. `reserve` is kept for the answer unless the caller says otherwise.
    `overhead` is what the reader puts round every prompt (special tokens, the roles of a chat template).
    `generates` is false for the extractive answerer, which runs no language model. `window_reason` says whose
    word the window is, `notes` what else a user should know of the numbers.
    """

    name: str
    window: int
    counter: TokenCounter
    counter_is_own: bool = True
    reserve: int = 0
    overhead: int = 0
    generates: bool = True
    window_reason: str = ""
    notes: tuple[str, ...] = ()


def extractive_reader(counter: TokenCounter, window: int = DEFAULT_WINDOW) -> ReaderModel:
    """The reader that copies sentences: the embedder counts for it, and its answer needs no reserve."""
    return ReaderModel(name="extractive", window=window, counter=counter, generates=False)


class CachedCounter:
    """Counts each text once; made for one prompt, so that what it remembers is gone with it."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter
        self._counts: dict[str, int] = {}

    def count(self, text: str) -> int:
        """Number of tokens of `text`."""
        return self.count_many([text])[0]

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text; those not seen before are counted in one batch."""
        unknown = [text for text in dict.fromkeys(texts) if text not in self._counts]
        if unknown:
            self._counts.update(zip(unknown, self._counter.count_many(unknown), strict=True))
        return [self._counts[text] for text in texts]
