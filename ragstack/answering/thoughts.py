"""Takes what a model thinks before it answers out of what it writes, while it comes.

Many servers send thoughts apart, and `generators.replies` passes over those. Others, and models in this
process, write them into the text between marks: they are no answer, and what they cite is no citation.
"""

from __future__ import annotations

MARKS = {"<think>": "</think>", "<thinking>": "</thinking>", "[THINK]": "[/THINK]"}
"""What opens and closes thoughts: DeepSeek-R1, Qwen3 and QwQ; some templates; Magistral."""


class Thoughts:
    """A reader of one answer in stretches. Only thoughts at its beginning are taken out.

    Text that may turn out to be half of a mark is held back until that is clear.
    """

    def __init__(self) -> None:
        self._held = ""
        self._closing = ""
        self._answers = False

    def answered(self, text: str) -> str:
        """What of the next stretch belongs to the answer; may be nothing."""
        if self._answers:
            return text
        self._held += text
        if not self._closing:
            return self._opened()
        return self._closed()

    def rest(self) -> str:
        """What was held back when the text ended: nothing of thoughts that did not end."""
        return "" if self._closing else self._held

    def _opened(self) -> str:
        begun = self._held.lstrip()
        for opening, closing in MARKS.items():
            if begun.startswith(opening):
                self._held, self._closing = begun.removeprefix(opening), closing
                return self._closed()
        if any(opening.startswith(begun) for opening in MARKS):
            return ""
        return self._released(self._held)

    def _closed(self) -> str:
        _, mark, answer = self._held.partition(self._closing)
        if not mark:
            self._held = self._held[-len(self._closing) :]
            return ""
        self._closing = ""
        return self._released(answer.lstrip())

    def _released(self, text: str) -> str:
        self._answers, self._held = True, ""
        return text


def without_thoughts(text: str) -> str:
    """A whole text without the thoughts at its beginning, also where their opening mark is missing.

    Some templates put the opening mark into the prompt, so that only the closing one is written.
    """
    thoughts = Thoughts()
    answer = thoughts.answered(text) + thoughts.rest()
    for closing in MARKS.values():
        answer = answer.rpartition(closing)[2]
    return answer.lstrip()
