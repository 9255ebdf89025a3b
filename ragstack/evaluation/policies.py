"""Policies, side by side: how chunks are ranked and how many of them, packed how, a prompt is given.

A policy is written as words joined by `+`, each optional: a ranking (`hybrid`, `dense`, `lexical`),
`reranked`, a packing (`packed`, `fill`, `top-k`) and a chunk size (`128/64`). What is measured is what the
other modules measure, and evidence recall under budgets of prompt tokens. Nothing is printed here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ragstack.answering.evidence import SCARCE_TOKENS, full_relevance, lexical_relevance
from ragstack.context.frames import PrintedFrame
from ragstack.context.packing import pack
from ragstack.context.trimming import Relevance
from ragstack.errors import UsageError
from ragstack.evaluation.bootstrap import Interval, paired_difference
from ragstack.evaluation.characters import BareFrame, CharacterCounter
from ragstack.evaluation.corpus import IndexedCorpus
from ragstack.evaluation.datasets import Question
from ragstack.evaluation.metrics import contains_answer, recall_within_budget, repeated_share, span_recall
from ragstack.evaluation.retrieval import (
    RANKING_DEPTH,
    Judge,
    Measures,
    QuestionScores,
    RetrievalRun,
    prompt_words,
)
from ragstack.evaluation.spans import Span
from ragstack.records import Candidate, Filter, Hit, Passage, Reranker
from ragstack.retrieval.neighbours import with_neighbours
from ragstack.retrieval.question import question_vector
from ragstack.retrieval.reranking import reranked
from ragstack.retrieval.search import retrieve
from ragstack.store.protocols import ReadSession
from ragstack.system import CANDIDATES

CHARACTERS_PER_TOKEN = 4
"""Of English text; it decides only which budgets of characters are scarce."""

TOKEN_BUDGETS = (500, 1_000, 2_000, 4_000, 8_000)

RERANKED = "reranked"
"""The word of a policy whose best hits a reranker puts in order."""

_CHUNKS = re.compile(r"(\d+)/(\d+)")


class Ranking(StrEnum):
    """By which evidence chunks are ranked."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


class Packing(StrEnum):
    """What of the ranking goes into a prompt."""

    PACKED = "packed"
    """What `context.packing` chooses: text worth its tokens, windows merged and charged for what they add."""
    FILL = "fill"
    """Whole chunks in their order until one does not fit, each charged in full, as most systems do."""
    TOP_K = "top-k"
    """The first chunks, a fixed number of them whatever the budget."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One way to fill a prompt; `chunks` are the size and overlap of its index, None for the usual one.

    With `reranked` a reranker decides on the order of the best hits.
    """

    ranking: Ranking = Ranking.HYBRID
    packing: Packing = Packing.PACKED
    chunks: tuple[int, int] | None = None
    reranked: bool = False

    @classmethod
    def parsed(cls, name: str) -> Policy:
        """The policy that a name like `dense+top-k+128/64` stands for; UsageError for unknown words."""
        policy = cls()
        for word in name.split("+"):
            if word in set(Ranking):
                policy = replace(policy, ranking=Ranking(word))
            elif word in set(Packing):
                policy = replace(policy, packing=Packing(word))
            elif word == RERANKED:
                policy = replace(policy, reranked=True)
            elif match := _CHUNKS.fullmatch(word):
                policy = replace(policy, chunks=(int(match[1]), int(match[2])))
            else:
                known = ", ".join([*Ranking, RERANKED, *Packing])
                raise UsageError(
                    f"`{name}` is not a policy: `{word}` is unknown",
                    hint=f"join words of {known} and sizes like `128/64` by `+`",
                )
        return policy


@dataclass(frozen=True, slots=True)
class Prompt:
    """The spans that a policy puts into a prompt, their texts, and its tokens."""

    spans: tuple[Span, ...]
    texts: tuple[str, ...]
    tokens: int


def evaluate_policy(
    corpus: IndexedCorpus,
    policy: Policy,
    *,
    top_k: int,
    budgets: Sequence[int] = TOKEN_BUDGETS,
    characters: Sequence[int] = (),
    reranker: Reranker | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RetrievalRun:
    """Ask every answerable question; `corpus` must have the chunks of the policy.

    `budgets` are tokens of the embedder, headers included, `characters` further ones of distinct characters
    of the documents. `seconds` of a question is the time of its search. Raises UsageError for a policy that
    wants a `reranker` when there is none.
    """
    if policy.reranked and reranker is None:
        raise UsageError("a policy wants a reranker, and none is named", hint="name it with `--reranker`")
    reordering = reranker if policy.reranked else None
    questions = corpus.dataset.answerable
    judge = Judge(corpus, Measures(top_k))
    rows = []
    with corpus.system.store.read() as session:
        for question in questions:
            started = time.perf_counter()
            hits = _ranked(corpus, session, question.text, policy.ranking, reordering)
            seconds = time.perf_counter() - started
            scores = judge.scores(question, hits)
            if question.evidence:
                shelf = _Shelf.of(corpus, session, question.text, hits, policy, top_k)
                for budget in budgets:
                    scores |= _prompt_scores(question, shelf.prompt(budget), budget)
                for budget in characters:
                    spans = shelf.spans_within(budget)
                    found = recall_within_budget(spans, question.evidence, budget)
                    scores[f"evidence in {budget} characters"] = found
            rows.append(QuestionScores(question.id, seconds, scores))
            if progress is not None:
                progress(len(rows), len(questions))
    return RetrievalRun(tuple(rows), len(corpus.dataset.questions) - len(questions))


def _ranked(
    corpus: IndexedCorpus,
    session: ReadSession,
    question: str,
    ranking: Ranking,
    reranker: Reranker | None,
) -> list[Hit]:
    if ranking is Ranking.LEXICAL:
        found = session.lexical_candidates(question, RANKING_DEPTH, Filter())
        return _reordered(list(_hits(session, found)), question, reranker)
    vector = question_vector(corpus.system.embedder, question)
    if ranking is Ranking.HYBRID:
        return retrieve(session, question, vector, limit=RANKING_DEPTH, reranker=reranker)
    found = session.dense_candidates(vector, RANKING_DEPTH, Filter())
    return _reordered(list(_hits(session, found)), question, reranker)


def _reordered(hits: Sequence[Hit], question: str, reranker: Reranker | None) -> list[Hit]:
    """The hits of one search alone with the best in the reranker's order, if there is one."""
    if reranker is None:
        return list(hits)
    by_id = {hit.chunk.chunk_id: hit for hit in hits}
    scores = {chunk_id: hit.score for chunk_id, hit in by_id.items()}
    chunks = {chunk_id: hit.chunk for chunk_id, hit in by_id.items()}
    order, given = reranked(reranker, question, list(by_id), scores, chunks)
    return [replace(by_id[chunk_id], score=given[chunk_id]) for chunk_id in order]


def _hits(session: ReadSession, found: Sequence[Candidate]) -> Iterator[Hit]:
    chunks = session.chunks(candidate.chunk_id for candidate in found)
    for candidate in found:
        yield Hit(chunks[candidate.chunk_id], candidate.score)


@dataclass(frozen=True, slots=True)
class _Shelf:
    """What a policy fills prompts with for one question; ragstack's own as it does for a language model."""

    corpus: IndexedCorpus
    session: ReadSession
    question: str
    hits: Sequence[Hit]
    packing: Packing
    top_k: int
    by_meaning: Relevance

    @classmethod
    def of(
        cls,
        corpus: IndexedCorpus,
        session: ReadSession,
        question: str,
        hits: Sequence[Hit],
        policy: Policy,
        top_k: int,
    ) -> _Shelf:
        """The hits, for the packer with what stands near them."""
        if policy.packing is Packing.PACKED:
            hits = with_neighbours(session, hits[:CANDIDATES])
        is_embedded = policy.ranking is not Ranking.LEXICAL and policy.packing is Packing.PACKED
        embedder = corpus.system.embedder
        vector = question_vector(embedder, question) if is_embedded else None
        by_meaning = full_relevance(question, vector, embedder, budget=SCARCE_TOKENS)
        return cls(corpus, session, question, hits, policy.packing, top_k, by_meaning)

    def prompt(self, budget: int) -> Prompt:
        """The prompt of so many tokens of the embedder, headers included."""
        if self.packing is not Packing.PACKED:
            top = self.hits[: self.top_k]
            taken = list(top if self.packing is Packing.TOP_K else _filled(self.hits, budget))
            spans = map(self.corpus.span, taken)
            tokens = sum(hit.chunk.tokens for hit in taken)
            return Prompt(tuple(spans), tuple(hit.text for hit in taken), tokens)
        packed = pack(
            self.hits,
            budget,
            source=self.session,
            frame=PrintedFrame(self.question),
            counter=self.corpus.system.embedder.tokenizer,
            relevance=self._relevance(budget),
        )
        return Prompt(
            tuple(self._spans(packed.passages)), tuple(each.text for each in packed.passages), packed.tokens
        )

    def spans_within(self, characters: int) -> list[Span]:
        """What is shown first of so many distinct characters; a fixed number of chunks may hold fewer.

        The packer spends the whole budget here, on what is worth little, too.
        """
        if self.packing is not Packing.PACKED:
            shown = self.hits[: self.top_k] if self.packing is Packing.TOP_K else self.hits
            return [self.corpus.span(hit) for hit in shown]
        packed = pack(
            self.hits,
            characters,
            source=self.session,
            frame=BareFrame(),
            counter=CharacterCounter(),
            minimum_relevance=0,
            relevance=self._relevance(characters // CHARACTERS_PER_TOKEN),
        )
        return self._spans(packed.passages)

    def _relevance(self, budget: int) -> Relevance:
        """How sentences are weighed under a budget of tokens; embedded once for all that are scarce."""
        return self.by_meaning if budget <= SCARCE_TOKENS else lexical_relevance(self.question)

    def _spans(self, passages: Sequence[Passage]) -> list[Span]:
        return [self.corpus.span_in(each.path, each.start, each.end) for each in passages]


def _filled(hits: Sequence[Hit], budget: int) -> Iterator[Hit]:
    for hit in hits:
        budget -= hit.chunk.tokens
        if budget < 0:
            return
        yield hit


def _prompt_scores(question: Question, prompt: Prompt, budget: int) -> dict[str, float]:
    scores = {
        f"evidence in {budget} tokens": span_recall(prompt.spans, question.evidence),
        f"tokens of {budget}": float(prompt.tokens),
        f"repeated in {budget}": repeated_share(map(prompt_words, prompt.texts)),
    }
    if question.answers:
        contained = any(contains_answer(prompt.texts, answer) for answer in question.answers)
        scores[f"answer in {budget} tokens"] = float(contained)
    return scores


def difference(run: RetrievalRun, other: RetrievalRun, name: str) -> Interval:
    """By how much a measure of `run` is above that of `other`, with its paired bootstrap interval."""
    mine = {row.id: row.scores[name] for row in run.rows if name in row.scores}
    theirs = {row.id: row.scores[name] for row in other.rows if name in row.scores}
    shared = [question for question in mine if question in theirs]
    return paired_difference([mine[each] for each in shared], [theirs[each] for each in shared])


# ------------------------------------------------------------------------------------- abstention


@dataclass(frozen=True, slots=True)
class Abstention:
    """How many questions were answered of those with and without evidence in the documents."""

    answerable: int
    answered: int
    unanswerable: int
    refused: int

    @property
    def precision(self) -> float | None:
        """The share of the refusals that were right; None if nothing was refused."""
        refusals = self.refused + self.answerable - self.answered
        return self.refused / refusals if refusals else None

    @property
    def recall(self) -> float | None:
        """The share of the unanswerable questions that were refused; None if there are none."""
        return self.refused / self.unanswerable if self.unanswerable else None


def evaluate_abstention(
    corpus: IndexedCorpus, *, progress: Callable[[int, int], None] | None = None
) -> Abstention:
    """Asks every question for an answer, those that the documents do not answer among them."""
    found: dict[bool, list[bool]] = {True: [], False: []}
    questions = corpus.dataset.questions
    for number, question in enumerate(questions, start=1):
        found[question.answerable].append(corpus.system.ask(question.text).found)
        if progress is not None:
            progress(number, len(questions))
    refused = found[False].count(False)
    return Abstention(len(found[True]), found[True].count(True), len(found[False]), refused)
