"""Where the terms of a question stand in the chunks that were found, counted in words.

The chunks are indexed once more in memory, by the same FTS5 tokenizer as the store's, so that stems and
borders of words are exactly those by which they were found. Nothing is scored here.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from ragstack.records import StoredChunk
from ragstack.words import PAIRED, character_pairs

_COLUMN_GAP = 1_000_000
"""Lies between the places of two columns, so that a heading is never near a word of the text."""

_COLUMNS = ("body", "headings", "pairs")

_CREATE = """
CREATE VIRTUAL TABLE words USING fts5(
    body, headings, pairs, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE places USING fts5vocab(words, instance);
"""
_INSERT = "INSERT INTO words(rowid, body, headings, pairs) VALUES (?, ?, ?, ?)"

_IS_TERM = "SELECT doc, col, offset FROM places WHERE term = ?"
_BEGINS_WITH = "SELECT doc, col, offset FROM places WHERE term >= ? AND term < ?"

_LONE = re.compile(f"[{PAIRED}]")


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The sorted places of each term in each chunk that holds it, and the number of words of every chunk.

    Places count words; those in headings lie far from those in the text.
    """

    places: Mapping[int, Mapping[str, tuple[int, ...]]]
    lengths: Mapping[int, int]


def find_occurrences(terms: Sequence[str], chunks: Mapping[int, StoredChunk]) -> Occurrences:
    """Looks for terms, as the store counts them (`ChunkSearch.term_counts`), in the chunks."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_CREATE)
        numbers = dict(enumerate(chunks, start=1))
        rows = (_row(number, chunks[chunk_id]) for number, chunk_id in numbers.items())
        database.executemany(_INSERT, rows)
        places: dict[int, dict[str, tuple[int, ...]]] = {chunk_id: {} for chunk_id in chunks}
        for term, words in _words_of(database, terms).items():
            for number, found in _places(database, term, words).items():
                places[numbers[number]][term] = found
        lengths = _lengths(database)
    return Occurrences(places, {numbers[number]: length for number, length in lengths.items()})


def _row(number: int, chunk: StoredChunk) -> tuple[int, str, str, str]:
    headings = dict.fromkeys([*([chunk.title] if chunk.title else []), *chunk.headings])
    return number, chunk.text, "\n".join(headings), character_pairs(chunk.text)


def _words_of(database: sqlite3.Connection, terms: Sequence[str]) -> dict[str, list[str]]:
    """The stems that each term consists of: one for a word, several for a phrase."""
    probes = {-number: term for number, term in enumerate(terms, start=1)}
    database.executemany(_INSERT, [(number, term, "", "") for number, term in probes.items()])
    words: dict[str, list[str]] = {term: [] for term in terms}
    found = database.execute("SELECT doc, term FROM places WHERE doc < 0 ORDER BY doc, offset")
    for number, word in found:
        words[probes[number]].append(word)
    database.executemany("DELETE FROM words WHERE rowid = ?", [(number,) for number in probes])
    return words


def _places(database: sqlite3.Connection, term: str, words: Sequence[str]) -> dict[int, tuple[int, ...]]:
    """The places of a term by row; of a phrase, those where its words stand in a row."""
    if not words:
        return {}
    if _LONE.fullmatch(term):
        return _grouped(_stands(database, _BEGINS_WITH, (words[0], words[0] + "\U0010ffff")))
    first, *others = (_grouped(_stands(database, _IS_TERM, (word,))) for word in words)
    for distance, other in enumerate(others, start=1):
        first = {
            number: kept
            for number, places in first.items()
            if (kept := _followed(places, other.get(number, ()), distance))
        }
    return first


def _followed(places: Iterable[int], others: Iterable[int], distance: int) -> tuple[int, ...]:
    after = frozenset(others)
    return tuple(place for place in places if place + distance in after)


def _stands(
    database: sqlite3.Connection, statement: str, parameters: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """(row, place) of every occurrence."""
    for number, column, offset in database.execute(statement, parameters):
        yield number, _COLUMNS.index(column) * _COLUMN_GAP + offset


def _grouped(stands: Iterable[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    grouped: dict[int, list[int]] = defaultdict(list)
    for number, place in stands:
        grouped[number].append(place)
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
