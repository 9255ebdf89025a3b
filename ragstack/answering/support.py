"""Weighs how far a passage bears a claim out: by words, by meaning, by the figures in it.

It says whether a source is about what the claim says and has its numbers; whether it says so or the contrary,
no count of words and no cosine can tell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragstack.answering.evidence import cut_to_fit
from ragstack.answering.statements import Statement, statements
from ragstack.answering.terms import terms
from ragstack.records import Embedder, Passage

MEANING_SHARE = 0.6
"""Mixed as retrieval and `Evidence.support` are: six parts meaning, four parts words."""

STATEMENTS_A_CLAIM = 6
"""Statements of a passage whose meaning is compared with a claim's: those with most of its words."""

_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
_FIGURE_WORDS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "twenty": "20", "thirty": "30", "forty": "40",
    "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90", "hundred": "100",
    "half": "50", "once": "1", "twice": "2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Support:
    """How far a source bears a claim out, in 0 to 1, and the span of its document that does so best.

    `missing` are figures of the claim that no cited source has.
    """

    number: int
    score: float
    start: int
    end: int
    missing: tuple[str, ...] = ()


def supports(
    claimed: Sequence[tuple[str, Sequence[int]]], passages: Sequence[Passage], embedder: Embedder
) -> list[Support | None]:
    """The best support of each claim in the passages whose numbers (from 1) it cites; None without any.

    All meanings are compared in one batch of the embedder.
    """
    cited = {number for _, numbers in claimed for number in numbers}
    units = [unit for unit in _units(statements(passages)) if unit.number in cited]
    weights = _rarities(units)
    chosen = [_likeliest(text, numbers, units, weights) for text, numbers in claimed]
    texts = list(
        dict.fromkeys([text for text, _ in claimed] + [unit.text for few in chosen for unit, _ in few])
    )
    vectors = (
        dict(zip(texts, embedder.embed_documents(cut_to_fit(texts, embedder)), strict=True)) if texts else {}
    )
    found: list[Support | None] = []
    for (text, numbers), few in zip(claimed, chosen, strict=True):
        missing = missing_figures(text, [passages[number - 1].text for number in numbers])
        scored = [
            Support(
                unit.number,
                _score(float(vectors[text] @ vectors[unit.text]), share),
                unit.start,
                unit.end,
                missing,
            )
            for unit, share in few
        ]
        found.append(max(scored, key=lambda support: support.score, default=None))
    return found


def _score(meaning: float, words: float) -> float:
    return MEANING_SHARE * max(meaning, 0.0) + (1 - MEANING_SHARE) * words


@dataclass(frozen=True, slots=True)
class _Unit:
    """A statement, or two that follow each other, of passage `number`."""

    number: int
    start: int
    end: int
    text: str
    terms: frozenset[str]


def _units(found: Sequence[Statement]) -> list[_Unit]:
    """Each statement, and each pair of neighbours: a claim often puts two sentences into one."""
    units = [
        _Unit(each.number, each.start, each.end, each.topical_text, each.terms | frozenset(terms(each.topic)))
        for each in found
    ]
    pairs = [
        _Unit(one.number, one.start, other.end, f"{one.text} {other.text}", one.terms | other.terms)
        for one, other in pairwise(units)
        if one.number == other.number
    ]
    return units + pairs


def _rarities(units: Sequence[_Unit]) -> Mapping[str, float]:
    """How much each term tells: its inverse frequency among the units."""
    counts: dict[str, int] = {}
    for unit in units:
        for term in unit.terms:
            counts[term] = counts.get(term, 0) + 1
    return {term: math.log((len(units) + 1) / (count + 0.5)) for term, count in counts.items()}


def _likeliest(
    text: str, numbers: Sequence[int], units: Sequence[_Unit], weights: Mapping[str, float]
) -> list[tuple[_Unit, float]]:
    """The units of the cited passages that hold most of the claim's terms, each with the share it holds."""
    wanted = frozenset(terms(text))
    # A term that no source has tells most of all: it weighs like the rarest.
    most = max(weights.values(), default=1.0)
    whole = sum(max(weights.get(term, most), 0.0) for term in wanted) or 1.0
    shares = [
        (unit, sum(max(weights.get(term, most), 0.0) for term in wanted & unit.terms) / whole)
        for unit in units
        if unit.number in numbers
    ]
    return sorted(shares, key=lambda pair: -pair[1])[:STATEMENTS_A_CLAIM]


def missing_figures(text: str, sources: Iterable[str]) -> tuple[str, ...]:
    """The figures in `text` that stand in none of the sources, also not in words.

    Numbers in words are not demanded of the sources: "one of the causes" counts nothing.
    """
    held = {figure for source in sources for figure in (*_figures(source), *_in_words(source))}
    return tuple(figure for figure in _figures(text) if figure not in held)


def _figures(text: str) -> list[str]:
    """The figures of a text, each once, without marks between thousands and zeros at the end of decimals."""
    return list(dict.fromkeys(_plain(match.group()) for match in _FIGURE.finditer(text)))


def _in_words(text: str) -> list[str]:
    return [_FIGURE_WORDS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _FIGURE_WORDS]


def _plain(figure: str) -> str:
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", figure):
        figure = figure.replace(",", "")
    figure = figure.replace(",", ".")
    return figure.rstrip("0").rstrip(".") if "." in figure else figure
