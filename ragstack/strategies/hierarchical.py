"""A hierarchy of summaries: the reader sees what each document says, then what each section of the best says.

Documents are ranked by their summaries, the sections of the best by theirs, and the text of the best sections
makes the prompt to answer. Every summary is read under the same budget as the text; what is read grows with
the store at about the share that a summary is of its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ragstack.records import DocumentSource, Reading, ReadingPass, SelectedDocument
from ragstack.strategies.filling import fill_prompt, largest_piece
from ragstack.strategies.full import prepare_text, text_of
from ragstack.strategies.pieces import PieceStream, TextPiece, pieces_of
from ragstack.strategies.sections import Section, sections_of
from ragstack.strategies.strategy import (
    PreparedPrompt,
    ReadingTask,
    StrategyName,
    closed,
    no_room,
    prompt_pass,
)
from ragstack.strategies.summaries import document_card, summarise_section

Item = TypeVar("Item")


def read_hierarchy(task: ReadingTask) -> PreparedPrompt:
    """The prompt of the best sections of the best documents; of text that fits one prompt, that text."""
    documents = task.documents()
    stream = PieceStream(text_of(documents, task))
    filled = fill_prompt(stream, task)
    if stream.is_exhausted:
        return prepare_text(task, documents, filled, StrategyName.HIERARCHICAL)
    reader = _SummaryReader(task)
    best_documents = reader.ranked(_document_cards(documents, task.source), "summaries of documents")
    cards = _section_cards((document for _, document in best_documents), task.source)
    best_sections = reader.ranked(cards, "summaries of sections", prompts=1)
    filled = fill_prompt(PieceStream(_text_of_sections(best_sections, task)), task)
    if not filled.pieces:
        raise no_room(task.ledger)
    opened = {section.document.document_id for _, section in best_sections}
    note = (
        f"{len(documents):,} documents were read as summaries,"
        f" {len(opened):,} of them by {len(best_sections):,} summaries of their sections"
    )
    answering = prompt_pass(task, "answer", filled.passages, filled.tokens)
    return PreparedPrompt(
        passages=filled.passages,
        ledger=closed(task.ledger, filled.tokens, note),
        reading=Reading(StrategyName.HIERARCHICAL, (*reader.passes, answering), len(documents)),
    )


def _document_cards(
    documents: Sequence[SelectedDocument], source: DocumentSource
) -> Iterator[tuple[SelectedDocument, str]]:
    for document in documents:
        summaries = (summarise_section(section, source) for section in sections_of(document, source))
        yield document, document_card(document, summaries)


def _section_cards(
    documents: Iterable[SelectedDocument], source: DocumentSource
) -> Iterator[tuple[Section, str]]:
    for document in documents:
        for section in sections_of(document, source):
            yield section, summarise_section(section, source).card


def _text_of_sections(ranked: Sequence[tuple[float, Section]], task: ReadingTask) -> Iterator[TextPiece]:
    for score, section in ranked:
        yield from pieces_of(
            section.document,
            task.source,
            task.counter,
            largest=largest_piece(task),
            start=section.start,
            end=section.end,
            score=score,
        )


@dataclass(slots=True)
class _SummaryReader:
    """Has summaries read, as many to a prompt as fit, and keeps an account of the prompts."""

    task: ReadingTask
    passes: list[ReadingPass] = field(default_factory=list)

    def ranked(
        self, cards: Iterable[tuple[Item, str]], purpose: str, *, prompts: int | None = None
    ) -> list[tuple[float, Item]]:
        """The items by the relevance of their cards, best first; of at most so many prompts."""
        scored: list[tuple[float, Item]] = []
        for number, (batch, tokens) in enumerate(self._batches(cards), start=1):
            self.passes.append(ReadingPass(purpose, self.task.prompt_tokens(tokens), ()))
            scores = self.task.reader.relevance([card for _, card in batch])
            scored += [(float(score), item) for score, (item, _) in zip(scores, batch, strict=True)]
            if number == prompts:
                break
        return sorted(scored, key=lambda each: -each[0])

    def _batches(self, cards: Iterable[tuple[Item, str]]) -> Iterator[tuple[list[tuple[Item, str]], int]]:
        """The cards in prompts as full as may be, each prompt with its tokens counted whole."""
        batch: list[tuple[Item, str]] = []
        planned = 0
        for entry in cards:
            cost = self._tokens([entry])
            if batch and planned + cost > self.task.budget:
                yield from self._within_budget(batch)
                batch, planned = [], 0
            batch.append(entry)
            planned += cost
        if batch:
            yield from self._within_budget(batch)

    def _within_budget(self, batch: list[tuple[Item, str]]) -> Iterator[tuple[list[tuple[Item, str]], int]]:
        """The batch, in halves where the whole counts for more than its cards."""
        tokens = self._tokens(batch)
        if tokens <= self.task.budget:
            yield batch, tokens
            return
        if len(batch) == 1:
            raise no_room(self.task.ledger)
        middle = len(batch) // 2
        yield from self._within_budget(batch[:middle])
        yield from self._within_budget(batch[middle:])

    def _tokens(self, batch: Sequence[tuple[Item, str]]) -> int:
        numbered = (f"[{number}] {card}\n\n" for number, (_, card) in enumerate(batch, start=1))
        return self.task.counter.count("".join(numbered))
