"""The contract of a context strategy: what it is given, what it makes, and what it asks of a reader.

A strategy ends with one packed prompt, which the system has answered. On the way there it may have the
reader read other prompts, each under the same ledger: windows of which it takes partial answers, summaries of
which it takes how relevant they are. Nothing here reads a document or counts a token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from ragstack.context.frames import PromptFrame
from ragstack.context.ledger import Limit
from ragstack.context.readers import TokenCounter
from ragstack.context.trimming import Relevance
from ragstack.errors import BudgetError
from ragstack.records import (
    Citation,
    DocumentSource,
    DocumentSpan,
    Filter,
    Hit,
    Ledger,
    Passage,
    Reading,
    ReadingPass,
    SelectedDocument,
)


class StrategyName(StrEnum):
    """The strategies by the names that users give."""

    RAG = "rag"
    FULL = "full"
    SLIDING = "sliding"
    HIERARCHICAL = "hierarchical"


class PartialAnswer(Protocol):
    """What a reader made of one prompt; `citations` are exact spans of that prompt's passages."""

    @property
    def found(self) -> bool:
        """Whether anything in the prompt answers."""
        ...

    @property
    def citations(self) -> Sequence[Citation]:
        """The spans that the answer rests on."""
        ...


class Reader(Protocol):
    """Whoever reads prompts for one question: sentences are copied, or a language model answers."""

    def answer(self, passages: Sequence[Passage]) -> PartialAnswer:
        """An answer from these passages alone, numbered from 1 in their order."""
        ...

    def relevance(self, texts: Sequence[str]) -> Sequence[float]:
        """How likely each text leads to the answer; comparable between calls, 0 is not at all."""
        ...


@dataclass(frozen=True, slots=True)
class ReadingTask:
    """One question, the documents it is asked of, and what one prompt may hold.

    `ledger` is open: its `passage_budget` bounds every prompt alike. `retrieve` finds chunks when a strategy
    wants them, and `relevance` weighs the sentences of those. `where` selects the documents.
    """

    question: str
    ledger: Ledger
    frame: PromptFrame
    counter: TokenCounter
    source: DocumentSource
    where: Filter
    reader: Reader
    retrieve: Callable[[], Sequence[Hit]]
    relevance: Relevance

    @property
    def budget(self) -> int:
        """Tokens of passages in one prompt."""
        return self.ledger.passage_budget

    def prompt_tokens(self, passage_tokens: int) -> int:
        """Tokens of a whole prompt whose passages take so many; a safety margin is kept free, not read."""
        charges = sum(charge.tokens for charge in self.ledger.charges if charge.name != "safety margin")
        return charges + passage_tokens

    def documents(self) -> Sequence[SelectedDocument]:
        """The selected documents, in the order in which they are read."""
        return self.source.selected_documents(self.where)


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """The prompt to answer: its passages, the closed ledger, and how it came about.

    `reading` counts every prompt on the way, this one last. `hits` are what retrieval found, if it was asked.
    `problem` says in one line why the prompt is empty although something was found.
    """

    passages: tuple[Passage, ...]
    ledger: Ledger
    reading: Reading
    hits: tuple[Hit, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str = ""


ContextStrategy = Callable[[ReadingTask], PreparedPrompt]
"""Makes the prompt of a task. Raises BudgetError when not even one sentence has room."""


def prompt_pass(
    task: ReadingTask, purpose: str, passages: Sequence[Passage], passage_tokens: int
) -> ReadingPass:
    """The account of one prompt of passages."""
    spans = tuple(DocumentSpan(each.document_id, each.path, each.start, each.end) for each in passages)
    return ReadingPass(purpose, task.prompt_tokens(passage_tokens), spans)


def closed(ledger: Ledger, passage_tokens: int, *notes: str) -> Ledger:
    """The ledger of a prompt that was filled without hits: what was spent, and what there is to say."""
    return replace(ledger, passage_tokens=passage_tokens, notes=(*ledger.notes, *notes))


def no_room(ledger: Ledger) -> BudgetError:
    """The error of a budget in which no sentence finds room with its header."""
    binding = ledger.binding
    slow = "too slow" if binding.name == Limit.LATENCY else "no room"
    left = f"the {binding.name} ({binding.reason}) leaves {ledger.passage_budget:,} tokens"
    return BudgetError(
        f"{slow}: {left}, less than one sentence with its header",
        hint="raise what binds: `ragstack ask --explain` shows every limit",
    )
