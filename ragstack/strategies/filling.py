"""Fills one prompt with pieces in the order in which they come, until the next one does not fit.

Neighbouring pieces become one passage, whatever the order they came in. What is planned by sums is counted
whole in the end, as it will be sent; what turns out to be too much goes back to the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragstack.context.frames import frame_passage
from ragstack.context.readers import CachedCounter
from ragstack.records import Passage
from ragstack.strategies.pieces import PieceStream, TextPiece
from ragstack.strategies.strategy import ReadingTask

LARGEST_SHARE = 0.5
"""A piece takes at most this share of a prompt, so that its header finds room beside it."""


@dataclass(frozen=True, slots=True)
class FilledPrompt:
    """The passages of one prompt and the pieces that they are made of, in the order of the stream.

    `tokens` is what the passages add to the prompt, headers included, counted on the whole prompt.
    """

    passages: tuple[Passage, ...]
    tokens: int
    pieces: tuple[TextPiece, ...]


def largest_piece(task: ReadingTask) -> int:
    """Most tokens of one piece in the prompts of a task."""
    return max(1, int(task.budget * LARGEST_SHARE))


def fill_prompt(stream: PieceStream, task: ReadingTask) -> FilledPrompt:
    """As many pieces from the front of the stream as one prompt holds; none when not even one fits."""
    counter = CachedCounter(task.counter)
    taken = _planned(stream, task, counter)
    while taken:
        passages, tokens = _counted(taken, task, counter)
        if tokens <= task.budget:
            return FilledPrompt(tuple(passages), tokens, tuple(taken))
        excess, dropped = tokens - task.budget, 0
        while taken and dropped < excess:
            dropped += max(1, taken[-1].tokens)
            stream.give_back([taken.pop()])
    return FilledPrompt((), 0, ())


def _planned(stream: PieceStream, task: ReadingTask, counter: CachedCounter) -> list[TextPiece]:
    """The pieces whose tokens and headers, added up, are within the budget."""
    taken: list[TextPiece] = []
    planned = 0
    for piece in stream:
        cost = piece.tokens
        if not taken or not _continues(taken[-1], piece):
            cost += counter.count(frame_passage(task.frame, 1 + len(taken), _passage([piece], task, "")))
        if planned + cost > task.budget:
            stream.give_back([piece])
            break
        taken.append(piece)
        planned += cost
    return taken


def _continues(piece: TextPiece, other: TextPiece) -> bool:
    return piece.document.document_id == other.document.document_id and piece.end == other.start


def _counted(
    pieces: Sequence[TextPiece], task: ReadingTask, counter: CachedCounter
) -> tuple[list[Passage], int]:
    made = [_passage(run, task) for run in _runs(pieces)]
    passages = [passage for passage in made if passage.text]
    framed = [frame_passage(task.frame, number, each) for number, each in enumerate(passages, start=1)]
    empty, whole, *counts = counter.count_many([task.frame.render([]), task.frame.render(passages), *framed])
    counted = [replace(each, tokens=count) for each, count in zip(passages, counts, strict=True)]
    return counted, whole - empty


def _runs(pieces: Sequence[TextPiece]) -> list[list[TextPiece]]:
    """Pieces that touch, together; runs come in the order of the piece of theirs that came first."""
    order = {id(piece): place for place, piece in enumerate(pieces)}
    runs: list[list[TextPiece]] = []
    for piece in sorted(pieces, key=lambda piece: (piece.document.document_id, piece.start)):
        if runs and _continues(runs[-1][-1], piece):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return sorted(runs, key=lambda run: min(order[id(piece)] for piece in run))


def _passage(run: Sequence[TextPiece], task: ReadingTask, text: str | None = None) -> Passage:
    """The passage of a run of pieces, without blanks at its ends; `text` stands in for its own."""
    document = run[0].document
    joined = "".join(piece.text for piece in run)
    start = run[0].start + len(joined) - len(joined.lstrip())
    end = run[0].start + len(joined.rstrip())
    location = task.source.locate(document.document_id, start, max(start, end))
    return Passage(
        document_id=document.document_id,
        path=document.path,
        title=document.title,
        start=start,
        end=end,
        text=joined.strip() if text is None else text,
        tokens=0,
        score=max(piece.score for piece in run),
        headings=location.headings,
        content_hash=document.content_hash,
        location=location,
    )
