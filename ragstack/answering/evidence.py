"""Weighs how well each statement answers a question, by meaning, words, surroundings and kind.

The score of a statement is a weighted sum of its kinds of evidence; `Evidence` keeps them apart, so
that an explanation can show them. It neither finds statements nor chooses among them.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragstack.answering.questions import asked_kind, holds
from ragstack.answering.statements import Statement
from ragstack.answering.terms import question_pairs, question_terms, terms
from ragstack.records import Embedder

if TYPE_CHECKING:
    from ragstack.records import FloatArray

# The weights are those of a conditional logit (which of the candidates holds the gold answer?), fitted on the
# tuning half of squad (all 490 articles) and rounded; fitted on 48 articles they came out the same. A
# difference of 1 between two scores thus makes one statement e times as likely as the other. The cosine is
# squared beside, because a difference between close statements tells more than one between distant ones: the
# best statement then holds the answer for 73.0 instead of 71.9 % of squad (1,190 questions, whole sentences).
# `REFERS_BACK` alone was not fitted: an answer that begins with `This does not ...` cannot be understood. It
# was only checked that it costs nothing: 849 instead of 847 of 1,190 first statements, the same 1,013 threes.
MEANING = 3.0
MEANING_SQUARED = 4.0
MEANING_IN_PASSAGE = 3.0
WORDS = 3.0
WORDS_WITH_PREVIOUS = 2.5
WORDS_AROUND = 2.0
PHRASES = 2.0
PASSAGE = 4.5
WRONG_KIND = -1.7
REFERS_BACK = -0.5

_REFERS_BACK = re.compile(
    r"(?:this|that|these|those)\s+"
    r"(?:\w+n't|does|do|did|is|are|was|were|has|have|had|will|would|can|could|may|must|means?)\b",
    re.IGNORECASE,
)

EMBEDDED_STATEMENTS = 24
"""Statements that are embedded for a question; the rest are ruled out by the evidence that costs nothing."""

WEIGHED_SENTENCES = 96
"""Sentences that are embedded to pack a prompt for a language model: those of the best ten to fifteen hits.

Evidence in 300 / 500 / 1,000 / 2,000 tokens, weighed by terms alone and then by meaning, too: on chroma 75.2
/ 85.4 / 94.0 / 96.9 and 76.7 / 85.8 / 94.2 / 97.1 %, on every second question of squad 89.9 / 94.0 / 96.5 /
97.5 and 91.6 / 95.0 / 97.1 / 97.8 %; on the tuning halves alone 73.5 / 84.3 / 95.1 / 98.6 and 74.8 / 85.1 /
95.5 / 98.7, 89.9 / 92.7 / 95.5 / 96.6 and 90.7 / 93.5 / 96.3 / 97.2. 192 sentences are as good, 48 lose half
a point on squad. Meaning that counts 0.6 or 1.5 times as much as the terms is no better on both. On two cores
it takes 0.2 s.
"""

SCARCE_TOKENS = 3_000
"""A prompt with more room for passages misses hardly any evidence: 4,000 tokens hold 98.5 % of chroma's and
98.6 % of squad's by terms alone, 98.5 and 98.7 by meaning, too, so that embedding is not worth its time."""

AROUND = 2
"""Statements before and after one that count as its surroundings."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one statement; all but the cosines are between 0 and 1.

    `meaning` is the cosine of the question and the statement with its topic, `meaning_in_passage` the
    highest in its passage. The three `words` are shares of the question's terms, weighted by rarity: in the
    statement, its topic and its header row, with the statement before, and with those around. `phrases` is
    the share of the question's pairs of neighbouring terms. `passage` is the passage's score as a share of
    the best. `right_kind` is whether it holds a number, date or name when the question asks for one,
    `refers_back` whether it says something of what a statement before it names (`This does not mean ...`).
    """

    words: float
    words_with_previous: float
    words_around: float
    phrases: float
    passage: float
    right_kind: bool
    refers_back: bool = False
    meaning: float = 0.0
    meaning_in_passage: float = 0.0

    @property
    def without_meaning(self) -> float:
        """The score that needs no embedding."""
        return (
            WORDS * self.words
            + WORDS_WITH_PREVIOUS * self.words_with_previous
            + WORDS_AROUND * self.words_around
            + PHRASES * self.phrases
            + PASSAGE * self.passage
            + (0.0 if self.right_kind else WRONG_KIND)
            + (REFERS_BACK if self.refers_back else 0.0)
        )

    @property
    def score(self) -> float:
        """The whole score, in natural log odds."""
        meaning = MEANING * self.meaning + MEANING_SQUARED * max(self.meaning, 0.0) ** 2
        return meaning + MEANING_IN_PASSAGE * self.meaning_in_passage + self.without_meaning

    @property
    def support(self) -> float:
        """How much the statement has to do with the question, in 0 to 1 and comparable between questions.

        Mixed as retrieval mixes its two searches: six parts meaning, four parts words.
        """
        return 0.6 * self.meaning + 0.4 * self.words_around


@dataclass(frozen=True, slots=True)
class Weighed:
    """A statement with the evidence for it."""

    statement: Statement
    evidence: Evidence


def weigh(
    question: str,
    candidates: Sequence[Statement],
    embedder: Embedder,
    question_vector: FloatArray | None = None,
) -> list[Weighed]:
    """The statements most likely to answer, best first, at most `EMBEDDED_STATEMENTS`.

    `question_vector` is `embedder.embed_query(question)` if it is at hand.
    """
    evidence = _lexical_evidence(question, candidates)
    ranked = sorted(range(len(candidates)), key=lambda index: -evidence[index].without_meaning)
    chosen = ranked[:EMBEDDED_STATEMENTS]
    if not chosen:
        return []
    vector = embedder.embed_query(question) if question_vector is None else question_vector
    texts = cut_to_fit([candidates[index].topical_text for index in chosen], embedder)
    cosines = embedder.embed_documents(texts) @ vector
    best: dict[int, float] = {}
    for index, cosine in zip(chosen, cosines, strict=True):
        number = candidates[index].number
        best[number] = max(best.get(number, -1.0), float(cosine))
    weighed = [
        Weighed(
            candidates[index],
            replace(
                evidence[index], meaning=float(cosine), meaning_in_passage=best[candidates[index].number]
            ),
        )
        for index, cosine in zip(chosen, cosines, strict=True)
    ]
    return sorted(weighed, key=lambda each: -each.evidence.score)


def cut_to_fit(texts: Sequence[str], embedder: Embedder) -> list[str]:
    """The texts, those that are longer than the embedder reads without their ends.

    A cut may change how the word beside it is tokenized, so what is left is counted again.
    """
    room = embedder.max_tokens - embedder.document_overhead
    fitting = list(texts)
    for index, count in enumerate(embedder.tokenizer.count_many(fitting)):
        keep = room
        while count > room and keep > 0:
            fitting[index] = texts[index][: int(embedder.tokenizer.spans(texts[index]).ends[keep - 1])]
            count, keep = embedder.tokenizer.count(fitting[index]), keep - 1
    return fitting


def lexical_relevance(question: str) -> Callable[[Sequence[str]], list[float]]:
    """Weighs sentences for a packer: the share of the terms of the question that each holds.

    Each term counts by its rarity among the sentences.
    """
    wanted = question_terms(question)

    def relevance(sentences: Sequence[str]) -> list[float]:
        held = [frozenset(terms(sentence)) for sentence in sentences]
        shares = _rarities(wanted, held)
        return [_covered(shares, each) for each in held]

    return relevance


def full_relevance(
    question: str, vector: FloatArray | None, embedder: Embedder, *, budget: int
) -> Callable[[Sequence[str]], list[float]]:
    """Weighs sentences for a packer by the terms of the question and by meaning: the sum of two, each 0 to 1.

    `vector` is `embedder.embed_query(question)`; without it, or with a `budget` of more than `SCARCE_TOKENS`
    for passages, there are only the terms. Of the sentences, which come hit by hit, the first
    `WEIGHED_SENTENCES` are embedded, once for all calls. Their meaning is 1 for the closest and 0 for one in
    the middle or further away, as for those that are not embedded.
    """
    lexical = lexical_relevance(question)
    if vector is None or budget > SCARCE_TOKENS:
        return lexical
    known: dict[str, float] = {}

    def relevance(sentences: Sequence[str]) -> list[float]:
        near = list(dict.fromkeys(sentences))[:WEIGHED_SENTENCES]
        new = [sentence for sentence in near if sentence not in known]
        if new:
            cosines = embedder.embed_documents(cut_to_fit(new, embedder)) @ vector
            known.update(zip(new, map(float, cosines), strict=True))
        meanings = _spread({sentence: known[sentence] for sentence in near})
        words = lexical(sentences)
        return [share + meanings.get(sentence, 0.0) for share, sentence in zip(words, sentences, strict=True)]

    return relevance


def _spread(cosines: Mapping[str, float]) -> dict[str, float]:
    """The cosines as shares of the way from their median to the highest."""
    if not cosines:
        return {}
    middle, highest = statistics.median(cosines.values()), max(cosines.values())
    width = (highest - middle) or 1.0
    return {text: max(0.0, cosine - middle) / width for text, cosine in cosines.items()}


def rarities(wanted: Iterable[str], candidates: Sequence[Statement]) -> dict[str, float]:
    """How much each term of the question tells: its inverse frequency among the candidates, adding up to 1.

    The frequencies are those of the candidates and not of the whole store: what tells sentences about one
    subject apart is not the name of the subject.
    """
    return _rarities(wanted, [each.terms for each in candidates])


def _rarities(wanted: Iterable[str], held: Sequence[frozenset[str]]) -> dict[str, float]:
    total = len(held) + 1
    weights = {term: math.log(total / (sum(term in each for each in held) + 0.5)) for term in wanted}
    whole = sum(max(weight, 0.0) for weight in weights.values()) or 1.0
    return {term: max(weight, 0.0) / whole for term, weight in weights.items()}


def _lexical_evidence(question: str, candidates: Sequence[Statement]) -> list[Evidence]:
    """The evidence of each candidate but for its meaning."""
    shares = rarities(question_terms(question), candidates)
    phrases = question_pairs(question)
    kind = asked_kind(question)
    best = max((each.passage.score for each in candidates), default=0.0)
    evidence = []
    for index, candidate in enumerate(candidates):
        topic = frozenset(terms(f"{candidate.topic} {candidate.header_text}"))
        around = _around(candidates, index)
        evidence.append(
            Evidence(
                words=_covered(shares, candidate.terms | topic),
                words_with_previous=_covered(shares, candidate.terms | topic | around[0]),
                words_around=_covered(shares, candidate.terms | topic | around[1]),
                phrases=len(phrases & candidate.pairs) / max(1, len(phrases)),
                passage=max(candidate.passage.score, 0.0) / best if best > 0 else 0.0,
                right_kind=holds(kind, candidate.text, question),
                refers_back=_REFERS_BACK.match(candidate.text) is not None,
            )
        )
    return evidence


def _around(candidates: Sequence[Statement], index: int) -> tuple[frozenset[str], frozenset[str]]:
    """The terms of the statement before, and of all those around, within the passage."""
    number = candidates[index].number
    near = range(max(0, index - AROUND), min(len(candidates), index + AROUND + 1))
    same = [place for place in near if candidates[place].number == number]
    previous = candidates[index - 1].terms if index - 1 in same else frozenset()
    return previous, frozenset().union(*(candidates[place].terms for place in same))


def _covered(shares: Mapping[str, float], held: frozenset[str]) -> float:
    return sum(share for term, share in shares.items() if term in held)
