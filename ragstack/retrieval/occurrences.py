"""Where the terms of a question, or words like them, stand in the chunks that were found, counted in words.

The chunks are indexed once more in memory, by the same FTS5 tokenizer as the store's, so that stems and
borders of words are exactly those by which they were found. Nothing is scored here.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from ragstack.records import StoredChunk
from ragstack.retrieval.related import RelatedWord, related_words
from ragstack.words import PAIRED, character_pairs

_COLUMN_GAP = 1_000_000
"""Lies between the places of two columns, so that a heading is never near a word of the text."""

_COLUMN_STARTS = {"body": 0, "headings": _COLUMN_GAP, "pairs": 2 * _COLUMN_GAP}

_CREATE = """
CREATE VIRTUAL TABLE words USING fts5(
    body, headings, pairs, content = '', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE places USING fts5vocab(words, instance);
CREATE VIRTUAL TABLE terms USING fts5(term, content = '', tokenize = 'porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE stems USING fts5vocab(terms, instance);
"""
_INSERT = "INSERT INTO words(rowid, body, headings, pairs) VALUES (?, ?, ?, ?)"
_INSERT_TERM = "INSERT INTO terms(rowid, term) VALUES (?, ?)"
_RELATED_ROW = -1

_IS_TERM = "SELECT doc, col, offset FROM places WHERE term = ?"
_BEGINS_WITH = "SELECT doc, col, offset FROM places WHERE term >= ? AND term < ?"

_LONE = re.compile(f"[{PAIRED}]")


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
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_CREATE)
        numbers = dict(enumerate(chunks, start=1))
        rows = (_row(number, chunks[chunk_id]) for number, chunk_id in numbers.items())
        database.executemany(_INSERT, rows)
        stems = _stems_of_terms(database, terms)
        places: dict[int, dict[str, tuple[int, ...]]] = {number: {} for number in numbers}
        for term, words in stems.items():
            for number, found in _places(database, term, words).items():
                places[number][term] = found
        stand_ins = _stand_ins(database, stems, places)
        lengths = _lengths(database)
    return Occurrences(
        {chunk_id: places[number] for number, chunk_id in numbers.items()},
        {chunk_id: lengths[number] for number, chunk_id in numbers.items()},
        {numbers[number]: found for number, found in stand_ins.items()},
    )


def _row(number: int, chunk: StoredChunk) -> tuple[int, str, str, str]:
    headings = dict.fromkeys([*([chunk.title] if chunk.title else []), *chunk.headings])
    return number, chunk.text, "\n".join(headings), character_pairs(chunk.text)


def _stems_of_terms(database: sqlite3.Connection, terms: Iterable[str]) -> dict[str, list[str]]:
    """The stems that each term consists of: one for a word, several for a phrase."""
    numbered = dict(enumerate(terms))
    database.executemany(_INSERT_TERM, numbered.items())
    stems: dict[str, list[str]] = {term: [] for term in numbered.values()}
    for number, stem in database.execute("SELECT doc, term FROM stems ORDER BY doc, offset"):
        stems[numbered[number]].append(stem)
    return stems


def _stems_of_words(database: sqlite3.Connection, words: Iterable[str]) -> Iterator[str]:
    """The stem of each related word; they are plain, so that a row of them keeps their order and number."""
    database.execute(_INSERT_TERM, (_RELATED_ROW, " ".join(words)))
    for (stem,) in database.execute("SELECT term FROM stems WHERE doc = ? ORDER BY offset", (_RELATED_ROW,)):
        yield stem


def _places(database: sqlite3.Connection, term: str, words: Sequence[str]) -> dict[int, tuple[int, ...]]:
    """The places of a term by row; of a phrase, those where its words stand in a row."""
    if not words:
        return {}
    if _LONE.fullmatch(term):
        return _found(database, _BEGINS_WITH, (words[0], words[0] + "\U0010ffff"))
    first, *others = (_found(database, _IS_TERM, (word,)) for word in words)
    for distance, other in enumerate(others, start=1):
        first = {
            number: kept
            for number, places in first.items()
            if (kept := _followed(places, other.get(number, ()), distance))
        }
    return first


def _stand_ins(
    database: sqlite3.Connection,
    stems: Mapping[str, Sequence[str]],
    places: Mapping[int, Mapping[str, tuple[int, ...]]],
) -> dict[int, dict[str, StandIn]]:
    """By row, the closest related word for every term that the row lacks, if it holds one."""
    related = {term: related_words(words[0]) for term, words in stems.items() if len(words) == 1}
    words = dict.fromkeys(each.word for of_term in related.values() for each in of_term)
    held = {
        word: _found(database, _IS_TERM, (stem,))
        for word, stem in zip(words, _stems_of_words(database, words), strict=True)
    }
    stand_ins: dict[int, dict[str, StandIn]] = defaultdict(dict)
    for term, of_term in related.items():
        for each in of_term:
            for number, found in held[each.word].items():
                if term not in places[number] and term not in stand_ins[number]:
                    stand_ins[number][term] = StandIn(each, found)
    return stand_ins


def _followed(places: Iterable[int], others: Iterable[int], distance: int) -> tuple[int, ...]:
    after = frozenset(others)
    return tuple(place for place in places if place + distance in after)


def _found(
    database: sqlite3.Connection, statement: str, parameters: Sequence[str]
) -> dict[int, tuple[int, ...]]:
    """The sorted places of what the statement finds, by row."""
    grouped: dict[int, list[int]] = defaultdict(list)
    for number, column, offset in database.execute(statement, parameters):
        grouped[number].append(_COLUMN_STARTS[column] + offset)
    return {number: tuple(sorted(places)) for number, places in grouped.items()}


def _lengths(database: sqlite3.Connection) -> dict[int, int]:
    """Words of every row, from the sizes that FTS5 keeps of its columns."""
    return {
        number: sum(_varints(size)) for number, size in database.execute("SELECT id, sz FROM words_docsize")
    }


def _varints(data: bytes) -> Iterator[int]:
    """SQLite's variable-length integers, seven bits a byte (https://www.sqlite.org/fileformat2.html#varint)."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            yield value
            value = 0
