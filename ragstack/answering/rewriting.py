"""Has a language model say in full what a follow-up asks, to search for it together with its own words.

The model is not trusted with the search: what it writes is only added to the question that `followup` makes
without it, and left out when it loses a figure or a code of the question, or is no question at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing

from ragstack.answering.claims import without_markers
from ragstack.answering.followup import is_follow_up, standalone_question
from ragstack.answering.prompt import without_role_marks
from ragstack.answering.terms import terms
from ragstack.answering.thoughts import without_thoughts
from ragstack.errors import GenerationError
from ragstack.records import Generator, Message, Turn

INSTRUCTIONS = (
    "Rewrite the last question so that it can be understood without the conversation. Put in what it refers"
    " to, keep all names, numbers and codes as they are, and answer nothing. Write the question alone, on one"
    " line."
)

TURNS_SHOWN = 3
ANSWER_CHARACTERS = 300
MOST_TOKENS = 64
MOST_CHARACTERS = 300

_CODE = re.compile(r"\b\w*\d\w*\b")


def search_question(question: str, turns: Sequence[Turn], generator: Generator) -> str:
    """What to search for: as without a model, and for a follow-up the model's own wording of it after."""
    alone = standalone_question(question, turns)
    if not turns or not is_follow_up(question):
        return alone
    try:
        rewritten = _written(generator, question, turns)
    except GenerationError:
        return alone  # the model will say so itself when it is to answer
    return f"{alone} {rewritten}" if _is_usable(rewritten, question, turns) else alone


def _written(generator: Generator, question: str, turns: Sequence[Turn]) -> str:
    messages = (Message("system", INSTRUCTIONS), Message("user", _conversation(question, turns)))
    with closing(generator.stream(messages, max_tokens=MOST_TOKENS)) as pieces:
        text = "".join(piece.text for piece in pieces)
    lines = [line.strip().strip('"') for line in without_thoughts(text).splitlines() if line.strip()]
    return lines[0] if lines else ""


def _conversation(question: str, turns: Sequence[Turn]) -> str:
    shown = [
        f"Question: {turn.question}\nAnswer: {without_markers(turn.answer)[:ANSWER_CHARACTERS]}"
        for turn in turns[-TURNS_SHOWN:]
    ]
    return without_role_marks("\n\n".join([*shown, f"Last question: {question}"]))


def _is_usable(rewritten: str, question: str, turns: Sequence[Turn]) -> bool:
    """Whether it keeps every figure and code of the question and speaks of nothing else."""
    if not rewritten or len(rewritten) > MOST_CHARACTERS:
        return False
    if not set(_CODE.findall(question)) <= set(_CODE.findall(rewritten)):
        return False
    said = " ".join(f"{turn.question} {turn.answer} {turn.standalone}" for turn in turns[-TURNS_SHOWN:])
    known = set(terms(said)) | set(terms(question))
    own = set(terms(rewritten))
    return bool(own) and len(own & known) >= len(own) / 2
