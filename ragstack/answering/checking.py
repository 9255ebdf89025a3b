"""Checks a generated answer against the passages of its prompt, and makes its citations.

An answer can cite only what was in the prompt: other numbers are flagged. Of every sentence that cites, it
says whether a cited source supports it, and of every quotation whether the source says so, by its offset. It
changes nothing in the answer's text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ragstack.answering.citations import cite
from ragstack.answering.claims import Claim, claims
from ragstack.answering.support import Support, supports
from ragstack.answering.terms import terms
from ragstack.records import (
    CheckedSentence,
    Citation,
    Embedder,
    Passage,
    SupportState,
    TextSource,
)

LEAST_SUPPORT = 0.30
"""`Support.score` from which a sentence counts as supported. On 200 claims of scifact's train split, each put
beside an abstract: 89 % of those beside the abstract that they were written about pass, 1 % of those beside
another one, and 74 % beside the most similar of 800 others. At 0.40 it is 72, 0.5 and 30 %. Such claims are
worded by experts who did not copy; it tells strangers from kin, not truth from falsehood."""

FEWEST_TERMS = 3
"""A sentence of fewer content words ("Yes [2].") is weighed together with the question."""

_REFUSAL = re.compile(
    r"\b(?:do(?:es)? not|don't|doesn't|cannot|can't|no)\b.{0,60}\b(?:answer|contain|mention|provide|say|state"
    r"|information|address|specify)",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_REFUSAL = 400


@dataclass(frozen=True, slots=True)
class Checked:
    """The sentences of an answer with what checking came to, and its citations in the order of the text."""

    sentences: tuple[CheckedSentence, ...]
    citations: tuple[Citation, ...]

    @property
    def unknown(self) -> tuple[int, ...]:
        """Numbers that the answer cites and the prompt did not have, in order."""
        return tuple(sorted({number for each in self.sentences for number in each.unknown}))


def check(
    question: str, answer: str, passages: Sequence[Passage], embedder: Embedder, source: TextSource
) -> Checked:
    """What the answer's sentences rest on; `passages` are those of the prompt, numbered from 1."""
    found = claims(answer)
    known = [tuple(number for number in claim.numbers if 1 <= number <= len(passages)) for claim in found]
    weighed = iter(
        supports(
            [
                (_weighable(question, claim), numbers)
                for claim, numbers in zip(found, known, strict=True)
                if numbers
            ],
            passages,
            embedder,
        )
    )
    sentences: list[CheckedSentence] = []
    citations: list[Citation] = []
    for claim, numbers in zip(found, known, strict=True):
        support = next(weighed) if numbers else None
        quotes = [_locate(quote, numbers, passages) for quote in claim.quotes]
        sentences.append(_sentence(claim, numbers, support, quotes, len(passages)))
        for number in numbers:
            span = _cited_span(number, support, quotes, passages[number - 1])
            citations.append(cite(number, passages, *span, source))
    return Checked(tuple(sentences), tuple(citations))


def refuses(answer: str) -> bool:
    """Whether a short answer only says that the sources do not answer."""
    cites = any(claim.numbers for claim in claims(answer))
    return not cites and len(answer) <= _LONGEST_REFUSAL and _REFUSAL.search(answer) is not None


def _weighable(question: str, claim: Claim) -> str:
    return claim.text if len(set(terms(claim.text))) >= FEWEST_TERMS else f"{question} {claim.text}"


def _sentence(
    claim: Claim,
    numbers: tuple[int, ...],
    support: Support | None,
    quotes: Sequence[tuple[int, int, int] | None],
    passages: int,
) -> CheckedSentence:
    unknown = tuple(number for number in claim.numbers if not 1 <= number <= passages)
    return CheckedSentence(
        start=claim.start,
        end=claim.end,
        numbers=numbers,
        unknown=unknown,
        support=round(support.score, 3) if support else 0.0,
        state=_state(numbers, unknown, support, quotes),
    )


def _state(
    numbers: tuple[int, ...],
    unknown: tuple[int, ...],
    support: Support | None,
    quotes: Sequence[tuple[int, int, int] | None],
) -> SupportState:
    if unknown:
        return SupportState.UNKNOWN_SOURCE
    if not numbers:
        return SupportState.UNCITED
    if any(quote is None for quote in quotes):
        return SupportState.WRONG_QUOTE
    if quotes:
        return SupportState.SUPPORTED
    is_supported = support is not None and support.score >= LEAST_SUPPORT and not support.missing
    return SupportState.SUPPORTED if is_supported else SupportState.UNSUPPORTED


def _cited_span(
    number: int,
    support: Support | None,
    quotes: Sequence[tuple[int, int, int] | None],
    passage: Passage,
) -> tuple[int, int]:
    """The span that a citation shows: the quotation, else the best statement, else the whole passage."""
    for quote in quotes:
        if quote is not None and quote[0] == number:
            return quote[1], quote[2]
    if support is not None and support.number == number:
        return support.start, support.end
    return passage.start, passage.end


_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})


def _locate(quote: str, numbers: Sequence[int], passages: Sequence[Passage]) -> tuple[int, int, int] | None:
    """Number of the cited passage that holds a quotation, and its exact span; None if none does.

    Blanks, line ends, capitals and typographic marks may differ, and an ellipsis may leave words out;
    nothing else.
    """
    parts = [part.strip() for part in re.split(r"\.{3}|…", quote) if part.strip()]
    pattern = re.compile(r".{0,400}?".join(_loose(part) for part in parts), re.IGNORECASE | re.DOTALL)
    for number in numbers:
        passage = passages[number - 1]
        match = pattern.search(passage.text.translate(_SAME)) if parts else None
        if match is not None:
            return number, passage.start + match.start(), passage.start + match.end()
    return None


def _loose(text: str) -> str:
    return r"\s+".join(re.escape(word) for word in text.translate(_SAME).split())
