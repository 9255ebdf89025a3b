"""Finds the conversation that a question goes on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragstack.cli import console
from ragstack.records import Turn

if TYPE_CHECKING:
    from ragstack.store.history.rows import HistoryTurn
    from ragstack.system import RAGSystem


def last_conversation(system: RAGSystem) -> int | None:
    """The conversation of the last question; None, and a line on stderr, when there is none."""
    latest = system.history.latest()
    if latest is None:
        console.note("there is no conversation to go on with, so this begins one")
    return latest


def turns_of(system: RAGSystem, conversation_id: int | None) -> list[Turn]:
    """The turns of a conversation as the next question is given them; none without a conversation."""
    if conversation_id is None:
        return []
    return [remembered(turn) for turn in system.history.turns(conversation_id)]


def remembered(turn: HistoryTurn) -> Turn:
    """A turn as a conversation remembers it."""
    return Turn(turn.question, turn.answer, turn.standalone)
