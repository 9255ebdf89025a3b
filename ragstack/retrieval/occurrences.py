"""Where the terms of a question, or words like them, stand in the chunks that were found, counted in words.

Nothing is scored here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ragstack.records import StoredChunk
from ragstack.retrieval.related import RelatedWord, related_words
from ragstack.retrieval.vocabulary import Place, vocabulary
from ragstack.words import PAIRED, character_pairs

_COLUMNS = 3
_COLUMN_GAP = 1_000_000
"""Lies between the places of two columns, so that a heading is never near a word of the text."""

_LONE = re.compile(f"[{PAIRED}]")

Rows = Mapping[int, Sequence[int]]
"""The sorted places of something in each chunk that holds it, by the number of the chunk."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A word that a chunk holds in the place of a related term that it lacks, and where it stands."""

    related: RelatedWord
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The sorted places of each term in each chunk that holds it, and the number of words of every chunk.

    Places count words; those in headings lie far from those in the text. `stand_ins` are, for the terms that
    a chunk lacks, the closest related word that it holds.
    """

    places: Mapping[int, Mapping[str, tuple[int, ...]]]
    lengths: Mapping[int, int]
    stand_ins: Mapping[int, Mapping[str, StandIn]] = field(default_factory=dict)


def find_occurrences(terms: Sequence[str], chunks: Mapping[int, StoredChunk]) -> Occurrences:
    """Looks for terms, as the store counts them (`ChunkSearch.term_counts`), in the chunks."""
    words = vocabulary()
    stems = dict(zip(terms, words.stems(terms), strict=True))
    related = _related_stems(stems)
    lone = {term: of_term[0] for term, of_term in stems.items() if of_term and _LONE.fullmatch(term)}
    found = words.find(
        [column for chunk in chunks.values() for column in _columns(chunk)],
        {stem for of_term in stems.values() for stem in of_term}
        | {stem for of_term in related.values() for _, stem in of_term},
        lone.values(),
    )
    rows_of_stem, rows_of_beginning = _rows(found.stems), _rows(found.beginnings)
    places: list[dict[str, tuple[int, ...]]] = [{} for _ in chunks]
    for term, of_term in stems.items():
        rows = rows_of_beginning.get(lone[term], {}) if term in lone else _rows_of_term(of_term, rows_of_stem)
        for row, of_row in rows.items():
            places[row][term] = tuple(of_row)
    stand_ins = _stand_ins(related, places, rows_of_stem)
    lengths = [sum(found.lengths[row * _COLUMNS : (row + 1) * _COLUMNS]) for row in range(len(chunks))]
    return Occurrences(
        dict(zip(chunks, places, strict=True)),
        dict(zip(chunks, lengths, strict=True)),
        {chunk_id: stand_ins[row] for row, chunk_id in enumerate(chunks) if row in stand_ins},
    )


def _columns(chunk: StoredChunk) -> tuple[str, str, str]:
    """Text, headings, and the pairs of characters of scripts without blanks, as the store indexes them."""
    headings = dict.fromkeys([*([chunk.title] if chunk.title else []), *chunk.headings])
    return chunk.text, "\n".join(headings), character_pairs(chunk.text)


def _related_stems(stems: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[RelatedWord, str]]]:
    """The words closest to each term that is one word, closest first, with their stems."""
    related = {term: related_words(words[0]) for term, words in stems.items() if len(words) == 1}
    close = [each for of_term in related.values() for each in of_term]
    stem_of = iter(vocabulary().stems([each.word for each in close]))
    return {term: [(each, next(stem_of)[0]) for each in of_term] for term, of_term in related.items()}


def _rows(found: Iterable[Place]) -> dict[str, Rows]:
    """The places of each thing that was found, by row."""
    rows: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for what, text, offset in found:
        row, column = divmod(text, _COLUMNS)
        rows[what][row].append(column * _COLUMN_GAP + offset)
    return dict(rows)


def _rows_of_term(words: Sequence[str], found: Mapping[str, Rows]) -> Rows:
    """The places of a term by row; of a phrase, those where its words stand in a row."""
    if not words:
        return {}
    first, *others = (found.get(word, {}) for word in words)
    for distance, other in enumerate(others, start=1):
        first = {
            row: kept
            for row, places in first.items()
            if (kept := _followed(places, other.get(row, ()), distance))
        }
    return first


def _followed(places: Iterable[int], others: Iterable[int], distance: int) -> list[int]:
    after = frozenset(others)
    return [place for place in places if place + distance in after]


def _stand_ins(
    related: Mapping[str, Iterable[tuple[RelatedWord, str]]],
    places: Sequence[Mapping[str, object]],
    found: Mapping[str, Rows],
) -> dict[int, dict[str, StandIn]]:
    """By row, the closest related word for every term that the row lacks, if it holds one."""
    stand_ins: dict[int, dict[str, StandIn]] = defaultdict(dict)
    for term, of_term in related.items():
        for each, stem in of_term:
            for row, of_row in found.get(stem, {}).items():
                if term not in places[row] and term not in stand_ins[row]:
                    stand_ins[row][term] = StandIn(each, tuple(of_row))
    return stand_ins
