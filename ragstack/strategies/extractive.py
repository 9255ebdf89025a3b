"""The reader that copies sentences, as strategies ask it: partial answers, and how relevant summaries are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragstack.answering.evidence import cut_to_fit
from ragstack.answering.extractive import ExtractiveAnswer, answer_extractively
from ragstack.answering.terms import question_terms, terms
from ragstack.records import Embedder, Passage, TextSource

if TYPE_CHECKING:
    from ragstack.records import FloatArray

MEANING_SHARE = 0.6
"""Relevance is mixed as `Evidence.support` and retrieval are: six parts meaning, four parts words."""


@dataclass(frozen=True)
class ExtractiveReader:
    """Reads prompts for one question; `question_vector` is `embedder.embed_query(question)`, if at hand."""

    question: str
    question_vector: FloatArray | None
    embedder: Embedder
    source: TextSource
    abstain: bool = True

    def answer(self, passages: Sequence[Passage]) -> ExtractiveAnswer:
        """The sentences of these passages that answer best."""
        return answer_extractively(
            self.question,
            passages,
            self.embedder,
            self.source,
            question_vector=self.question_vector,
            abstain=self.abstain,
        )

    def relevance(self, texts: Sequence[str]) -> list[float]:
        """0.6 of the cosine with the question, 0.4 of the share of its terms, the rare ones counting more."""
        if not texts:
            return []
        vector = self.question_vector
        if vector is None:
            vector = self.embedder.embed_query(self.question)
        cosines = self.embedder.embed_documents(cut_to_fit(texts, self.embedder)) @ vector
        covered = _covered(question_terms(self.question), texts)
        return [
            MEANING_SHARE * float(cosine) + (1 - MEANING_SHARE) * share
            for cosine, share in zip(cosines, covered, strict=True)
        ]


def _covered(wanted: Sequence[str], texts: Sequence[str]) -> list[float]:
    """The share of the wanted terms in each text, each weighted by its inverse frequency among the texts."""
    held = [frozenset(terms(text)) for text in texts]
    weights = {
        term: math.log((len(texts) + 1) / (sum(term in each for each in held) + 0.5)) for term in wanted
    }
    whole = sum(max(weight, 0.0) for weight in weights.values()) or 1.0
    return [sum(max(weights[term], 0.0) for term in wanted if term in each) / whole for each in held]
