"""Prompts measured in characters of text, headers left out, as published results count what is retrieved."""

from __future__ import annotations

from collections.abc import Sequence

from ragstack.context.frames import FramePart
from ragstack.records import Passage

CHARACTER_BUDGETS = (2_000, 4_000, 8_000, 16_000)


class CharacterCounter:
    """Counts characters for the packer. Implements `context.readers.TokenCounter`."""

    def count(self, text: str) -> int:
        """Number of characters of `text`."""
        return len(text)

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Number of characters of each text."""
        return [len(text) for text in texts]


class BareFrame:
    """A prompt of the passages alone. Implements `context.frames.PromptFrame`."""

    @property
    def parts(self) -> tuple[FramePart, ...]:
        """None."""
        return ()

    def opening(self, _number: int, _passage: Passage) -> str:
        """No header."""
        return ""

    @property
    def closing(self) -> str:
        """Nothing between passages."""
        return ""

    def render(self, passages: Sequence[Passage]) -> str:
        """The passages one after the other."""
        return "".join(passage.text for passage in passages)
