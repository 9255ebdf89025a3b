"""Turns a follow-up into a question that can be searched for by itself, from the conversation alone.

"And in 2023?" says nothing to an index. Without a model the words of the questions before are put to it; what
is shown to a person, and what a language model is asked, stays the user's own question. Only English marks of
a follow-up are known; a question in another language is searched for as it stands unless it is very short.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragstack.answering.terms import terms
from ragstack.records import Turn

_OPENING = re.compile(
    r"(?:and|but|so|or|also|then|what about|how about|what if|why(?: not)?\s*\??$|since when|which (?:one|of)"
    r"|who else|what else|where else|anything else|the same)\b",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"\b(?:it|its|it's|they|them|their|theirs|this|these|those|he|him|his|she|her|hers|ones?|there|then"
    r"|same|former|latter|else|instead|otherwise|such)\b"
    r"|\bthat(?!\s+(?:is|are|was|were|has|have|can|could|will|would|does|do|did)\b)",
    re.IGNORECASE,
)
_VALUE = re.compile(r"\b(?:1[89]\d\d|20\d\d)\b")

FEWEST_TERMS = 4
"""A question of fewer content words, asked in a conversation, leans on what was said before."""


def is_follow_up(question: str) -> bool:
    """Whether the question seems to need the one before it to be understood."""
    stripped = question.strip()
    if _OPENING.match(stripped) or _REFERENCE.search(stripped):
        return True
    return len(set(terms(stripped))) < FEWEST_TERMS


def standalone_question(question: str, turns: Sequence[Turn]) -> str:
    """The question to search for: the user's own, or with what the conversation is about before it.

    `turns` are the conversation so far, the latest last.
    """
    if not turns or not is_follow_up(question):
        return question
    return " ".join([*(_without_values(before, question) for before in _leaned_on(turns)), question])


def _leaned_on(turns: Sequence[Turn]) -> list[str]:
    """The last question that stands by itself, and the one just before if that is another.

    Follow-ups of follow-ups are about what the conversation turned to last; all that were asked on the way
    would outweigh it.
    """
    root = next((turn.question for turn in reversed(turns) if not is_follow_up(turn.question)), "")
    return [*dict.fromkeys(filter(None, [root, turns[-1].question]))]


def _without_values(before: str, question: str) -> str:
    """The earlier question without the years that this one replaces, lest they pull the search back."""
    if not _VALUE.search(question):
        return before
    return " ".join(_VALUE.sub("", before).split())
