"""What a history holds, as records, and how they become rows and come back from them.

Nothing is written or read here; `history` does that with its lock and its transactions.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ragstack.records import Answer, Citation, Generation, Passage
from ragstack.store.connections import fetch


@dataclass(frozen=True, slots=True)
class HistoryPassage:
    """A passage as it was in the prompt, whatever has become of its document since."""

    number: int
    document_id: int
    path: str
    content_hash: str
    start: int
    end: int
    place: str
    text: str
    cited: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HistoryTurn:
    """A question and its answer; `generation` is None where sentences were copied."""

    turn_id: int
    conversation_id: int
    asked_at: str
    question: str
    standalone: str
    answer: str
    found: bool
    generator: str
    ledger: Mapping[str, Any]
    generation: Generation | None
    passages: tuple[HistoryPassage, ...]


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation in a listing: how long it is and how it began."""

    conversation_id: int
    started_at: str
    last_at: str
    turns: int
    first_question: str


@dataclass(frozen=True, slots=True)
class TimedTurn:
    """A measured generation: tokens of the prompt, seconds to the first token, tokens a second."""

    prompt_tokens: int
    seconds: float
    tokens_per_second: float | None


_MEASURES = tuple(
    field.name
    for field in fields(Generation)
    if field.name not in ("prediction", "finish_reason", "hint", "model", "endpoint", "error")
)


def turn_columns(answer: Answer) -> dict[str, Any]:
    """The columns of a turn but for its conversation and time."""
    generation = answer.generation
    measured = {name: getattr(generation, name) if generation else None for name in _MEASURES}
    return {
        "question": answer.question,
        "standalone": answer.standalone,
        "answer": answer.text,
        "found": answer.found,
        "generator": answer.generator,
        "model": generation.model if generation else "",
        "endpoint": generation.endpoint if generation else "",
        "error": generation.error if generation else "",
        "ledger": json.dumps(asdict(answer.ledger), ensure_ascii=False),
        **measured,
    }


def passage_rows(turn_id: int, answer: Answer) -> list[dict[str, Any]]:
    """A row for each passage of an answer's prompt, with the identities of what it cites of it."""
    return [
        {
            "turn_id": turn_id,
            "number": number,
            "document_id": passage.document_id,
            "path": passage.path,
            "content_hash": passage.content_hash,
            "start": passage.start,
            "end": passage.end,
            "place": _place(passage),
            "text": passage.text,
            "cited": json.dumps([each.identity for each in _of(answer.citations, number)]),
        }
        for number, passage in enumerate(answer.passages, start=1)
    ]


def _of(citations: Sequence[Citation], number: int) -> list[Citation]:
    return [each for each in citations if each.number == number]


def _place(passage: Passage) -> str:
    """Page and lines, then the headings."""
    return ", ".join(filter(None, [str(passage.location), " > ".join(passage.headings)]))


def read_turns(connection: sqlite3.Connection, conversation_id: int) -> list[HistoryTurn]:
    """The turns of a conversation in order, each with its passages."""
    turns = fetch(connection, "SELECT * FROM turns WHERE conversation_id = ? ORDER BY id", (conversation_id,))
    return [_turn(turn, _passages_of(connection, turn["id"])) for turn in turns]


def _passages_of(connection: sqlite3.Connection, turn_id: int) -> list[HistoryPassage]:
    rows = fetch(connection, "SELECT * FROM turn_passages WHERE turn_id = ? ORDER BY number", (turn_id,))
    return [_passage(row) for row in rows]


def _turn(turn: sqlite3.Row, passages: Sequence[HistoryPassage]) -> HistoryTurn:
    return HistoryTurn(
        turn_id=turn["id"],
        conversation_id=turn["conversation_id"],
        asked_at=turn["asked_at"],
        question=turn["question"],
        standalone=turn["standalone"],
        answer=turn["answer"],
        found=bool(turn["found"]),
        generator=turn["generator"],
        ledger=json.loads(turn["ledger"]),
        generation=_generation(turn),
        passages=tuple(passages),
    )


def _generation(turn: sqlite3.Row) -> Generation | None:
    if not turn["model"] and not turn["endpoint"]:
        return None
    measured = {name: turn[name] for name in _MEASURES} | {"seconds": turn["seconds"] or 0.0}
    return Generation(model=turn["model"], endpoint=turn["endpoint"], error=turn["error"], **measured)


def _passage(row: sqlite3.Row) -> HistoryPassage:
    return HistoryPassage(
        **{name: row[name] for name in HistoryPassage.__slots__ if name != "cited"},
        cited=tuple(json.loads(row["cited"])),
    )
