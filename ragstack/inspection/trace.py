"""The whole path of one question through a store: tokens, vector, candidates, fusion, packing, times.

Runs the stages that `ask` runs, one after the other, and keeps what each made and how long it took.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ragstack.errors import UsageError
from ragstack.records import Answer, Candidate, Filter, Hit

if TYPE_CHECKING:
    from ragstack.system import RAGSystem

DEPTH = 100
"""Candidates of each search, as many as retrieval asks for at least."""

_EVERYTHING = Filter()

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class TracedStage:
    """One stage and the seconds that it took; `made` says what came of it."""

    name: str
    seconds: float
    made: str


@dataclass(frozen=True, slots=True)
class QueryTrace:
    """What became of a question. `tokens` are the embedder's, as the stretches of the question they cover."""

    question: str
    tokens: tuple[str, ...]
    dimension: int
    dense: tuple[Candidate, ...]
    lexical: tuple[Candidate, ...]
    hits: tuple[Hit, ...]
    answer: Answer
    stages: tuple[TracedStage, ...]


class _Clock:
    """Times stages and keeps what they say of themselves."""

    def __init__(self) -> None:
        self.stages: list[TracedStage] = []

    def time(self, name: str, work: Callable[[], Made], made: Callable[[Made], str]) -> Made:
        begun = time.perf_counter()
        result = work()
        self.stages.append(TracedStage(name, time.perf_counter() - begun, made(result)))
        return result


def trace_query(system: RAGSystem, question: str, *, where: Filter = _EVERYTHING) -> QueryTrace:
    """Ask `question` and tell every stage. Raises UsageError for an empty question or an empty store."""
    from ragstack.retrieval.question import question_vector

    if not question.strip():
        raise UsageError("the question is empty", hint='ask something, as in `ragstack inspect query "..."`')
    if system.generation is None:
        raise UsageError("the store is empty", hint="run `ragstack ingest FOLDER` first")
    clock = _Clock()
    embedder = clock.time("open the embedder", lambda: system.embedder, lambda it: it.fingerprint.name)
    tokens = clock.time(
        "tokens", lambda: _tokens(system, question), lambda it: f"{len(it):,} of {embedder.max_tokens:,}"
    )
    vector = clock.time(
        "embedding",
        lambda: question_vector(embedder, question),
        lambda it: f"a vector of {len(it):,} dimensions",
    )
    with system.store.read() as snapshot:
        dense = clock.time("vector search", lambda: snapshot.dense_candidates(vector, DEPTH, where), _counted)
        lexical = clock.time(
            "full-text search", lambda: snapshot.lexical_candidates(question, DEPTH, where), _counted
        )
    hits = clock.time(
        "both searches and fusion", lambda: system.retrieve(question, DEPTH, where=where), _counted
    )
    answer = clock.time("the whole answer", lambda: system.ask(question, where=where), _packed)
    return QueryTrace(
        question=question,
        tokens=tokens,
        dimension=len(vector),
        dense=tuple(dense),
        lexical=tuple(lexical),
        hits=tuple(hits),
        answer=answer,
        stages=tuple(clock.stages),
    )


def _tokens(system: RAGSystem, question: str) -> tuple[str, ...]:
    spans = system.embedder.tokenizer.spans(question)
    return tuple(
        question[start:end] for start, end in zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)
    )


def _counted(found: list[Candidate] | list[Hit]) -> str:
    return f"{len(found):,} candidates"


def _packed(answer: Answer) -> str:
    ledger = answer.ledger
    return f"{len(answer.passages):,} passages, {ledger.passage_tokens:,} of {ledger.passage_budget:,} tokens"
