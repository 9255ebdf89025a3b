"""The lexical side of the store: FTS5 rows, the query that matches them, and BM25 scores.

Not responsible for fusing scores. Words are stemmed by FTS5's Porter tokenizer; scripts that put no spaces
between words are indexed a second time as overlapping pairs of characters. A question is turned into quoted
terms, so that no question is ever FTS5 syntax.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from ragstack.store.connections import IDS_IN, decoding, fetch, scalar
from ragstack.words import PAIRED, QUESTION_STOP_WORDS, character_pairs, overlapping_pairs

TABLE = "chunk_search"

# Weight of a match in the body, in the title and headings, and in a pair of characters.
WEIGHTS = (1.0, 1.0, 1.0)

_PAIRED_RUN = re.compile(f"[{PAIRED}]+")
_LETTERS = f"[^\\W_{PAIRED}]+"
_WORD = re.compile(_LETTERS)
_IDENTIFIER_OR_WORD = re.compile(rf"{_LETTERS}(?:(?:[._:/@#+-]+|(?<=\d),(?=\d)){_LETTERS})*")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

LONGEST_SEARCH = 32
"""Terms of a question that are searched for: of a longer one (a pasted letter, say) those that the fewest
chunks hold. They carry nearly all of its evidence, and a search takes longer with every term."""


FREQUENT_SHARE, FREQUENT_ROWS = 0.1, 1_000
"""A term held by more than this share of the rows, and by more than so many, finds no candidates, unless all
are so: it carries little evidence, and takes the longest. It still counts in the score of what is found. On
the 1,190 questions of squad (24,735 chunks) that costs one answer: nDCG@10 88.57 instead of 88.61, recall@10
96.97 instead of 97.06 %; scifact has 74.37 instead of 74.33. A share of 0.05 cost 0.2 points of squad."""


def question_terms(question: str) -> list[str]:
    """What a question is searched by, each once: its words, its identifiers whole, its pairs of characters.

    Words that carry no evidence are left out unless nothing else is left. An identifier (`error-1042`,
    `snake_case`, `2.3.1`, `camelCase`) is a term beside its words, to be found as its words in a row; the
    bare numbers in it are not searched for by themselves.
    """
    terms: list[str] = []
    for match in _IDENTIFIER_OR_WORD.finditer(question):
        found = match.group()
        parts = _WORD.findall(found)
        if len(parts) > 1:
            terms.append(found.lower())
            parts = [part for part in parts if not part.isdecimal()]
        elif _CAMEL.search(found):
            terms.append(_CAMEL.sub("_", found).lower())
        terms.extend(part.lower() for part in parts)
    terms = [term for term in terms if term not in QUESTION_STOP_WORDS] or terms
    for run in _PAIRED_RUN.findall(question):
        terms.extend(overlapping_pairs(run))
    return list(dict.fromkeys(terms))


def is_phrase(term: str) -> bool:
    """Whether a term is several words in a row."""
    return len(_WORD.findall(term)) > 1


def term_expression(term: str) -> str:
    """The FTS5 expression for one of `question_terms`; it holds no quote, so that none is ever syntax."""
    if _PAIRED_RUN.fullmatch(term):
        return f'pairs : "{term}" *' if len(term) == 1 else f'pairs : "{term}"'
    return f'"{term}"'


def match_expression(terms: Iterable[str]) -> str | None:
    """FTS5 expression that matches any of the terms; None when there are none."""
    return " OR ".join(map(term_expression, terms)) or None


def searchable_headings(title: str | None, headings: Sequence[str]) -> str:
    """What the headings column holds: title and heading path, each once, a line each."""
    return "\n".join(dict.fromkeys([*([title] if title else []), *headings]))


def headings_to_json(headings: Sequence[str]) -> str:
    """How the headings of a chunk are kept; equal headings are equal texts."""
    return json.dumps(headings, ensure_ascii=False)


def headings_from_json(value: str) -> tuple[str, ...]:
    """The heading path that a chunk's row keeps as JSON."""
    with decoding("the headings of a chunk"):
        return tuple(json.loads(value))


def insert_rows(connection: sqlite3.Connection, rows: Iterable[tuple[int, str, str]]) -> None:
    """Make chunks searchable; `rows` are (chunk id, text, title and headings)."""
    connection.executemany(
        f"INSERT INTO {TABLE}(rowid, body, headings, pairs) VALUES (?, ?, ?, ?)",
        [(chunk_id, body, headings, character_pairs(body)) for chunk_id, body, headings in rows],
    )


def delete_rows(connection: sqlite3.Connection, chunk_ids: Iterable[int]) -> None:
    """Remove the full-text rows of chunks."""
    connection.executemany(f"DELETE FROM {TABLE} WHERE rowid = ?", [(chunk_id,) for chunk_id in chunk_ids])


def search(
    connection: sqlite3.Connection,
    terms: Mapping[str, int],
    limit: int,
    *,
    generation_id: int,
    documents: str | None,
) -> list[tuple[int, float]]:
    """(chunk id, BM25) of the best matches, highest first; `documents` is a bound id list or None for all.

    `terms` are those of the question, with the number of rows that hold each. FTS5's `bm25()` is negative
    (lower is better); its sign is turned. Rows are joined with their chunks only where not all are meant: of
    several generations, or of some documents. At 27,000 chunks, a fifth of which hold words of the question,
    that took a third of the time.
    """
    telling = _telling(terms, row_count(connection)) if documents is None else terms
    expression = match_expression(telling)
    if expression is None:
        return []
    chosen = ""
    if documents is not None or scalar(connection, "SELECT count(*) FROM generations") > 1:
        within = f"AND c.document_id {IDS_IN.format('documents')}" if documents is not None else ""
        chosen = f"JOIN chunks c ON c.id = f.rowid AND c.generation_id = :generation {within}"
    weights = ", ".join(str(weight) for weight in WEIGHTS)
    statement = (
        f"SELECT f.rowid, -bm25({TABLE}, {weights}) AS score FROM {TABLE} f {chosen} "
        f"WHERE {TABLE} MATCH :expression ORDER BY score DESC, f.rowid LIMIT :limit"
    )
    parameters: dict[str, object] = {"expression": expression, "generation": generation_id, "limit": limit}
    if documents is not None:
        parameters["documents"] = documents
    return [(int(row[0]), float(row[1])) for row in fetch(connection, statement, parameters)]


def searched_terms(connection: sqlite3.Connection, question: str) -> dict[str, int]:
    """The terms that a question is searched by, in its order, with the number of rows that hold each.

    Of more than `LONGEST_SEARCH` terms, those that the fewest rows hold, but some do.
    """
    counts = holding(connection, question_terms(question))
    if len(counts) <= LONGEST_SEARCH:
        return counts
    found = sorted((term for term in counts if counts[term]), key=counts.__getitem__)
    kept = frozenset(found[:LONGEST_SEARCH])
    return {term: count for term, count in counts.items() if term in kept}


def _telling(terms: Mapping[str, int], rows: int) -> list[str]:
    """The terms that candidates are searched by: not those that many rows hold, but for want of others."""
    most = max(FREQUENT_SHARE * rows, FREQUENT_ROWS)
    held = [term for term, count in terms.items() if count]
    return [term for term in held if terms[term] <= most] or held


def holding(connection: sqlite3.Connection, terms: Sequence[str]) -> dict[str, int]:
    """How many rows hold each term."""
    statement = f"SELECT count(*) FROM {TABLE} WHERE {TABLE} MATCH ?"
    return {term: int(scalar(connection, statement, (term_expression(term),))) for term in terms}


def row_count(connection: sqlite3.Connection) -> int:
    """How many rows there are."""
    return int(scalar(connection, f"SELECT count(*) FROM {TABLE}_docsize"))


def integrity_problem(connection: sqlite3.Connection) -> str | None:
    """What FTS5's own check (rank = 1: index against content) says, or None."""
    try:
        connection.execute(f"INSERT INTO {TABLE}({TABLE}, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        return str(error)
    return None
