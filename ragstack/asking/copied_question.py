"""Answers one question with sentences of the documents: plan, ledger, passages, statements.

The way of a question without a language model. A model may be named all the same: the prompt is then sized
for it, and the answer still copied. The stages do the work; only their order is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragstack.answering.evidence import full_relevance, lexical_relevance
from ragstack.asking.limits import PromptLimits
from ragstack.config import DEFAULT_WINDOW
from ragstack.context.frames import PrintedFrame, PromptFrame
from ragstack.context.ledger import open_ledger
from ragstack.context.readers import ReaderModel, TokenCounter, extractive_reader
from ragstack.context.trimming import Relevance
from ragstack.errors import UsageError
from ragstack.records import Answer, DocumentSource, Embedder, Filter, Hit
from ragstack.retrieval.confidence import seems_answered
from ragstack.strategies.costs import reading_cost
from ragstack.strategies.extractive import ExtractiveReader
from ragstack.strategies.strategy import ContextStrategy, PreparedPrompt, ReadingTask

if TYPE_CHECKING:  # where no language model is named, what plans for one is not imported
    from ragstack.context.reader_plans import ReaderPlan
    from ragstack.records import FloatArray

NOT_RUN = "the prompt is sized for this model, but it is not run: the answer is copied from the passages"


@dataclass(frozen=True)
class CopiedQuestion:
    """One question, and everything that its copied answer depends on.

    `standalone` is what is searched for, `vector` its embedding. `plan` is how a language model would read
    the prompt, None when it is sized for the embedder's tokens alone. With `abstain` an answer without
    evidence is not given.
    """

    question: str
    standalone: str
    vector: FloatArray | None
    plan: ReaderPlan | None
    reader: ReaderModel
    limits: PromptLimits
    strategy: ContextStrategy
    where: Filter
    source: DocumentSource
    embedder: Embedder
    retrieve: Callable[[], Sequence[Hit]]
    abstain: bool

    def answer(self, _show: Callable[[str], None] | None = None) -> Answer:
        """The answer, there at once. Raises BudgetError when the question alone does not fit."""
        prompt = self._prepared(self._frame())
        refused = self.abstain and not seems_answered(self.standalone, prompt.hits)
        copied = self._copying().answer(() if refused else prompt.passages)
        return replace(
            self._answered(prompt, text=prompt.problem or copied.text, found=copied.found),
            citations=copied.citations,
        )

    def preview(self) -> Answer:
        """The prompt that would be read, as the text of an answer, with its ledger; nothing is answered."""
        frame = self._frame()
        prompt = self._prepared(frame)
        return self._answered(prompt, text=frame.render(prompt.passages), found=True)

    def _frame(self) -> PromptFrame:
        if self.plan is None:
            return PrintedFrame(self.question)
        from ragstack.answering.prompt import LanguageModelFrame

        return LanguageModelFrame.for_question(self.question)

    def _copying(self) -> ExtractiveReader:
        return ExtractiveReader(self.standalone, self.vector, self.embedder, self.source, self.abstain)

    def _prepared(self, frame: PromptFrame) -> PreparedPrompt:
        reserve = self.limits.reserve
        limits = self.plan.limits(self.reader.reserve if reserve is None else reserve) if self.plan else ()
        ledger = open_ledger(self.reader, frame, limits=limits, reserve=reserve, budget=self.limits.budget)
        task = ReadingTask(
            question=self.standalone,
            ledger=ledger,
            frame=frame,
            counter=self.reader.counter,
            source=self.source,
            where=self.where,
            reader=self._copying(),
            retrieve=self.retrieve,
            relevance=self._relevance(ledger.passage_budget),
        )
        return self.strategy(task)

    def _relevance(self, budget: int) -> Relevance:
        """By meaning, too, where a model would read; what is copied is weighed sentence by sentence later."""
        if self.plan is None:
            return lexical_relevance(self.standalone)
        return full_relevance(self.standalone, self.vector, self.embedder, budget=budget)

    def _answered(self, prompt: PreparedPrompt, *, text: str, found: bool) -> Answer:
        long = self._length_warning(prompt)
        return Answer(
            question=self.question,
            text=text,
            found=found,
            passages=prompt.passages,
            citations=(),
            hits=prompt.hits,
            ledger=prompt.ledger,
            warnings=(*prompt.warnings, *([long] if long else [])),
            reading=prompt.reading,
            cost=reading_cost(prompt.reading, self.plan, reserve=prompt.ledger.reserve),
            standalone=self.standalone if self.standalone != self.question else "",
        )

    def _length_warning(self, prompt: PreparedPrompt) -> str | None:
        if self.plan is None:
            return None
        from ragstack.context.effective import length_warning

        return length_warning(self.reader.name, prompt.ledger.prompt_tokens)


def plan_copying(reader: str | Path | ReaderPlan | None, limits: PromptLimits) -> ReaderPlan | None:
    """How the prompt would be read by the model that `reader` names; None without one.

    Raises UsageError for limits that only a language model can have.
    """
    if reader is not None:
        from ragstack.context.reader_plans import ReaderPlan, plan_reader

        if isinstance(reader, ReaderPlan):
            return reader
        return plan_reader(
            str(reader),
            window=limits.window,
            memory=limits.memory,
            latency=limits.latency,
            effective=limits.effective,
        )
    if limits.memory is not None or limits.latency is not None or limits.effective:
        raise UsageError(
            "memory, latency and effective length limit a language model's prompt, and no model is named",
            hint="name it with `--reader MODEL`",
        )
    return None


def copying_reader(
    plan: ReaderPlan | None,
    limits: PromptLimits,
    embedder: Embedder,
    *,
    open_file: Callable[[Path], TokenCounter],
) -> ReaderModel:
    """The reader whose tokens are counted; `open_file` reads a `tokenizer.json`."""
    if plan is None:
        return extractive_reader(embedder.tokenizer, limits.window or DEFAULT_WINDOW)
    from ragstack.context.counting import open_counter

    counter = open_counter(plan.tokenizer, plan.architecture, open_file=open_file, key=plan.key)
    reader = plan.reader(counter)
    return replace(reader, notes=(*reader.notes, NOT_RUN))
