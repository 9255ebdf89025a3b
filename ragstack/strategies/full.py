"""Full context: the text of the selected documents from the first on, as far as one prompt reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ragstack.records import Omission, Reading, SelectedDocument
from ragstack.strategies.filling import FilledPrompt, fill_prompt, largest_piece
from ragstack.strategies.pieces import PieceStream, TextPiece, pieces_of
from ragstack.strategies.strategy import (
    PreparedPrompt,
    ReadingTask,
    StrategyName,
    closed,
    no_room,
    prompt_pass,
)

NAMED_OMISSIONS = 3
"""Documents that a warning names; the reading lists all."""


def read_full(task: ReadingTask) -> PreparedPrompt:
    """One prompt of all text, in the order of the documents, up to the budget; says what did not fit."""
    documents = task.documents()
    filled = fill_prompt(PieceStream(text_of(documents, task)), task)
    if not filled.pieces and any(document.characters for document in documents):
        raise no_room(task.ledger)
    return prepare_text(task, documents, filled, StrategyName.FULL)


def prepare_text(
    task: ReadingTask, documents: Sequence[SelectedDocument], filled: FilledPrompt, name: StrategyName
) -> PreparedPrompt:
    """The prompt that holds the selected text from its beginning on, or all of it."""
    omitted = _unread(documents, filled.pieces)
    warnings = (_warning(omitted, len(documents)),) if omitted else ()
    answering = prompt_pass(task, "answer", filled.passages, filled.tokens)
    return PreparedPrompt(
        passages=filled.passages,
        ledger=closed(task.ledger, filled.tokens, *warnings),
        reading=Reading(name, (answering,), len(documents), omitted),
        warnings=warnings,
    )


def text_of(documents: Sequence[SelectedDocument], task: ReadingTask) -> Iterator[TextPiece]:
    """The text of the documents, one after the other."""
    for document in documents:
        yield from pieces_of(document, task.source, task.counter, largest=largest_piece(task))


def _unread(documents: Sequence[SelectedDocument], pieces: Sequence[TextPiece]) -> tuple[Omission, ...]:
    """The documents of which some text is in none of the pieces, in their order."""
    read: Counter[int] = Counter()
    for piece in pieces:
        read[piece.document.document_id] += piece.end - piece.start
    return tuple(
        Omission(each.path, read[each.document_id], each.characters)
        for each in documents
        if read[each.document_id] < each.characters
    )


def _warning(omitted: Sequence[Omission], documents: int) -> str:
    missing = sum(each.characters - each.read for each in omitted)
    names = ", ".join(f"`{each.path}`" for each in omitted[:NAMED_OMISSIONS])
    more = f" and {len(omitted) - NAMED_OMISSIONS:,} more" if len(omitted) > NAMED_OMISSIONS else ""
    return f"{missing:,} characters of {len(omitted):,} of {documents:,} documents did not fit: {names}{more}"
