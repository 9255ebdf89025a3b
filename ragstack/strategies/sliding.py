"""A sliding window: all text of the selected documents, prompt by prompt, answered from the partial answers.

Of each window the reader gives a partial answer. What those answers cite is kept, with the sentences around
it; when that no longer fits one prompt, it is itself read and reduced to what its answer cites. What is kept
in the end is the prompt to answer. So no text is skipped, and memory holds one window and one prompt of
evidence, however large the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ragstack.chunking.sentences import sentence_spans
from ragstack.records import Citation, Reading, ReadingPass, SelectedDocument
from ragstack.strategies.filling import FilledPrompt, fill_prompt, largest_piece
from ragstack.strategies.full import prepare_text, text_of
from ragstack.strategies.pieces import PieceStream, TextPiece, pieces_of
from ragstack.strategies.strategy import (
    PreparedPrompt,
    ReadingTask,
    StrategyName,
    closed,
    no_room,
    prompt_pass,
)

OVERLAP_SHARE = 1 / 16
"""Share of a window's tokens that the next one repeats: some 250 of 4,096, a paragraph or two. What stands at
the edge of one window has its surroundings in the other; each sixteenth costs as much more time."""

SENTENCES_AROUND = 1
"""Sentences kept on either side of what a partial answer cites: a pronoun has what it stands for."""

Interval = tuple[int, int]


def read_windows(task: ReadingTask) -> PreparedPrompt:
    """The prompt of what the partial answers cite; of text that fits one window, that window itself."""
    documents = task.documents()
    stream = PieceStream(text_of(documents, task))
    window = fill_prompt(stream, task)
    if stream.is_exhausted:
        return prepare_text(task, documents, window, StrategyName.SLIDING)
    evidence = _Evidence(task, {each.document_id: each for each in documents})
    while window.pieces:
        if window.passages:
            evidence.read(window, f"window {len(evidence.passes) + 1:,}")
            evidence.reduce()
        if stream.is_exhausted:
            return _prepared(task, evidence)
        stream.give_back(_overlap(window.pieces, task))
        window = fill_prompt(stream, task)
    raise no_room(task.ledger)


def _prepared(task: ReadingTask, evidence: _Evidence) -> PreparedPrompt:
    filled, rest = evidence.prompt()
    passes = tuple(evidence.passes)
    note = f"{len(passes):,} prompts were read before this one, which holds what their answers cite"
    if filled.passages:
        passes = (*passes, prompt_pass(task, "answer", filled.passages, filled.tokens))
    return PreparedPrompt(
        passages=filled.passages,
        ledger=closed(task.ledger, filled.tokens, note),
        reading=Reading(StrategyName.SLIDING, passes, len(evidence.documents)),
        warnings=(f"{len(rest):,} cited sentences did not fit the last prompt",) if rest else (),
    )


def _overlap(pieces: Sequence[TextPiece], task: ReadingTask) -> list[TextPiece]:
    """The last pieces of a window that the next one repeats: of one document, and never all of them."""
    repeated: list[TextPiece] = []
    room = int(task.budget * OVERLAP_SHARE)
    for piece in reversed(pieces[1:]):
        room -= piece.tokens
        if room < 0 or piece.document != pieces[-1].document:
            break
        repeated.append(piece)
    return repeated[::-1]


@dataclass(slots=True)
class _Evidence:
    """What partial answers cite, as disjoint intervals by document, and an account of all prompts so far."""

    task: ReadingTask
    documents: dict[int, SelectedDocument]
    passes: list[ReadingPass] = field(default_factory=list)
    intervals: dict[int, list[Interval]] = field(default_factory=dict)

    def read(self, prompt: FilledPrompt, purpose: str) -> None:
        """Have a prompt read, and keep what its answer cites."""
        self.passes.append(prompt_pass(self.task, purpose, prompt.passages, prompt.tokens))
        answer = self.task.reader.answer(prompt.passages)
        for citation in answer.citations if answer.found else ():
            self._keep(citation.passage.document_id, _with_surroundings(citation))

    def reduce(self) -> None:
        """Have what is kept read again, as long as it does not fit one prompt and that makes it less."""
        filled, rest = self.prompt()
        while rest:
            before = self._characters()
            self.intervals.clear()
            self.read(filled, "evidence")
            for piece in rest:
                self._keep(piece.document.document_id, (piece.start, piece.end))
            if self._characters() >= before:
                return
            filled, rest = self.prompt()

    def prompt(self) -> tuple[FilledPrompt, list[TextPiece]]:
        """The prompt of what is kept, in the order of the documents, and what does not fit it."""
        stream = PieceStream(self._pieces())
        return fill_prompt(stream, self.task), list(stream)

    def _pieces(self) -> Iterator[TextPiece]:
        for document_id, document in self.documents.items():
            for start, end in self.intervals.get(document_id, ()):
                yield from pieces_of(
                    document,
                    self.task.source,
                    self.task.counter,
                    largest=largest_piece(self.task),
                    start=start,
                    end=end,
                )

    def _keep(self, document_id: int, interval: Interval) -> None:
        merged: list[Interval] = []
        for start, end in sorted([*self.intervals.get(document_id, ()), interval]):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        self.intervals[document_id] = merged

    def _characters(self) -> int:
        return sum(end - start for kept in self.intervals.values() for start, end in kept)


def _with_surroundings(citation: Citation) -> Interval:
    """The cited sentences and those around them, as far as they are in the passage."""
    passage = citation.passage
    sentences = sentence_spans(passage.text)
    cited = [
        place
        for place, (start, end) in enumerate(sentences)
        if start < citation.end - passage.start and citation.start - passage.start < end
    ]
    first = sentences[max(0, cited[0] - SENTENCES_AROUND)]
    last = sentences[min(len(sentences) - 1, cited[-1] + SENTENCES_AROUND)]
    return passage.start + first[0], passage.start + last[1]
