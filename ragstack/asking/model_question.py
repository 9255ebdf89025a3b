"""Asks a language model one question: plan, ledger, conversation, passages, template, answer, check.

Reads top to bottom as the way of a question. The stages do the work; what is decided here is only their
order, and what becomes of the answer when the model cannot be asked or fails half way. There are two steps,
because a model may write for minutes: `ModelQuestion` makes the prompt and needs the store, `ReadyQuestion`
has it answered and needs nothing of the store any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragstack.answering.evidence import full_relevance
from ragstack.answering.extractive import NOT_FOUND
from ragstack.answering.generated import GeneratedAnswer, answer_by_generation
from ragstack.answering.generation import Prediction
from ragstack.answering.memory import HISTORY_SHARE, remember
from ragstack.answering.passage_places import PassagePlaces
from ragstack.answering.prompt import LanguageModelFrame
from ragstack.answering.templating import charged_for_template, prompt_limit, templated_tokens
from ragstack.asking.limits import PromptLimits
from ragstack.asking.planning import PlannedModel
from ragstack.context.effective import length_warning
from ragstack.context.ledger import open_ledger
from ragstack.context.trimming import Relevance
from ragstack.errors import GenerationError
from ragstack.records import (
    Answer,
    DocumentSource,
    Embedder,
    Filter,
    Generation,
    Generator,
    Hit,
    Ledger,
    Turn,
)
from ragstack.retrieval.confidence import is_off_topic
from ragstack.strategies.costs import reading_cost
from ragstack.strategies.extractive import ExtractiveReader
from ragstack.strategies.strategy import ContextStrategy, PreparedPrompt, ReadingTask

if TYPE_CHECKING:
    from ragstack.records import FloatArray


@dataclass(frozen=True)
class ModelQuestion:
    """One question to a language model, and everything that its prompt depends on.

    `standalone` is what is searched for, `vector` its embedding, `turns` the conversation before it. With
    `abstain` the model is not asked when nothing that was found has to do with the question.
    """

    question: str
    standalone: str
    vector: FloatArray | None
    turns: Sequence[Turn]
    generator: Generator
    model: PlannedModel
    limits: PromptLimits
    strategy: ContextStrategy
    where: Filter
    source: DocumentSource
    embedder: Embedder
    retrieve: Callable[[], Sequence[Hit]]
    abstain: bool

    def ready(self) -> ReadyQuestion:
        """The question with its prompt. Raises BudgetError when the question alone does not fit."""
        frame, prompt, templated = self._fitted()
        return ReadyQuestion(
            question=self.question,
            standalone=self.standalone,
            generator=self.generator,
            model=self.model,
            embedder=self.embedder,
            abstain=self.abstain,
            frame=frame,
            prompt=prompt,
            templated=templated,
            places=PassagePlaces.of(prompt.passages, self.source),
        )

    def _fitted(self) -> tuple[LanguageModelFrame, PreparedPrompt, int | None]:
        """Frame, prompt and its templated tokens, which are within the limit where they can be counted."""
        ledger, frame = self._opened()
        relevance = full_relevance(self.standalone, self.vector, self.embedder, budget=ledger.passage_budget)
        while True:
            prompt = self.strategy(self._task(ledger, frame, relevance))
            templated = self._templated(frame, prompt)
            excess = (templated or 0) - prompt_limit(prompt.ledger)
            if excess <= 0 or not prompt.passages:
                return frame, prompt, templated
            ledger = charged_for_template(ledger, excess)

    def _opened(self) -> tuple[Ledger, LanguageModelFrame]:
        """The ledger, the conversation charged, and the frame that holds what is remembered of it."""
        frame = LanguageModelFrame.for_question(self.question)
        ledger = self._ledger(frame)
        share = int(ledger.passage_budget * HISTORY_SHARE)
        counter = self.model.reader.counter
        memory = remember(self.standalone, self.turns, share, counter=counter, embedder=self.embedder)
        if not memory.text:
            return ledger, frame
        frame = replace(frame, history=memory.text)
        return self._ledger(frame), frame

    def _ledger(self, frame: LanguageModelFrame) -> Ledger:
        wanted = self.limits
        return open_ledger(
            self.model.reader,
            frame,
            limits=self.model.limits(wanted.reserve),
            reserve=wanted.reserve,
            budget=wanted.budget,
        )

    def _task(self, ledger: Ledger, frame: LanguageModelFrame, relevance: Relevance) -> ReadingTask:
        return ReadingTask(
            question=self.standalone,
            ledger=ledger,
            frame=frame,
            counter=self.model.reader.counter,
            source=self.source,
            where=self.where,
            reader=ExtractiveReader(self.standalone, self.vector, self.embedder, self.source),
            retrieve=self.retrieve,
            relevance=relevance,
        )

    def _templated(self, frame: LanguageModelFrame, prompt: PreparedPrompt) -> int | None:
        if self.model.failure is not None:
            return None
        try:
            return templated_tokens(self.generator, frame, prompt.passages)
        except GenerationError:  # it will say so itself when it is asked to write
            return None


@dataclass(frozen=True)
class ReadyQuestion:
    """A question whose prompt is made, and everything that its answer is written and checked with.

    `templated` is the exact count of the prompt's tokens, None where nobody can count them; `places` say
    where what is cited lies.
    """

    question: str
    standalone: str
    generator: Generator
    model: PlannedModel
    embedder: Embedder
    abstain: bool
    frame: LanguageModelFrame
    prompt: PreparedPrompt
    templated: int | None
    places: PassagePlaces

    def answer(self, show: Callable[[str], None] | None = None) -> Answer:
        """The model's answer, checked; `show` is given its text as it comes.

        The model is not asked when nothing that has to do with the question was found. A failure is in
        `Answer.generation`; the passages are there all the same.
        """
        prompt = self.prompt
        if self.model.failure is not None:
            return self._failed(self.model.failure.message, self.model.failure.hint or "")
        if not prompt.passages or (self.abstain and is_off_topic(self.standalone, prompt.hits)):
            return self._answered(text=prompt.problem or NOT_FOUND, found=False)
        written = answer_by_generation(
            self.generator,
            self.frame,
            prompt.passages,
            self.embedder,
            self.places,
            max_tokens=max(1, prompt.ledger.reserve),
            prediction=self.model.predict(prompt.ledger, self.templated),
            show=show,
        )
        return self._written(written)

    def preview(self) -> Answer:
        """The prompt that would be sent, as the text of an answer, with its ledger; nothing is written."""
        return self._answered(text=self.frame.render(self.prompt.passages), found=True)

    def _written(self, written: GeneratedAnswer) -> Answer:
        answer = self._answered(text=written.text, found=written.found)
        return replace(
            answer,
            citations=written.citations,
            sentences=written.sentences,
            generation=written.generation,
            warnings=(*answer.warnings, *written.warnings),
        )

    def _failed(self, error: str, hint: str) -> Answer:
        """The passages without an answer, since the model could not be asked."""
        about = self.generator.description
        prediction: Prediction = self.model.predict(self.prompt.ledger, None)
        generation = Generation(
            model=about.model,
            endpoint=about.endpoint,
            predicted_prompt_tokens=prediction.prompt_tokens,
            error=error,
            hint=hint,
        )
        return replace(self._answered(text="", found=False), generation=generation)

    def _answered(self, *, text: str, found: bool) -> Answer:
        prompt = self.prompt
        long = length_warning(self.model.reader.name, prompt.ledger.prompt_tokens)
        return Answer(
            question=self.question,
            text=text,
            found=found,
            passages=prompt.passages,
            citations=(),
            hits=prompt.hits,
            ledger=prompt.ledger,
            generator=self.generator.description.name,
            warnings=(*prompt.warnings, *([long] if long else [])),
            reading=prompt.reading,
            cost=reading_cost(prompt.reading, self.model.plan, reserve=prompt.ledger.reserve),
            standalone=self.standalone if self.standalone != self.question else "",
        )
