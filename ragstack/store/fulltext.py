"""The lexical side of the store: FTS5 rows, the query that matches them, and BM25 scores.

Not responsible for fusing scores. Words are stemmed by FTS5's Porter tokenizer; scripts that put no spaces
between words are indexed a second time as overlapping pairs of characters. A question is turned into quoted
terms, so that no question is ever FTS5 syntax.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from sqlalchemy import column, table, text
from sqlalchemy.engine import Connection

from ragstack.store.database import decoding
from ragstack.words import PAIRED, QUESTION_STOP_WORDS, character_pairs, overlapping_pairs

TABLE = "chunk_search"

ROWS = table(TABLE, column("rowid"), column("body"))
ROWID, BODY = ROWS.c.rowid, ROWS.c.body
"""The full-text table as far as other statements join it."""

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


def match_expression(question: str) -> str | None:
    """FTS5 expression that matches any term of the question; None when it holds none."""
    return _any_of(question_terms(question))


def _any_of(terms: Sequence[str]) -> str | None:
    return " OR ".join(map(term_expression, terms)) or None


def searchable_headings(title: str | None, headings: Sequence[str]) -> str:
    """What the headings column holds: title and heading path, each once, a line each."""
    return "\n".join(dict.fromkeys([*([title] if title else []), *headings]))


def headings_from_json(value: str) -> tuple[str, ...]:
    """The heading path that a chunk's row keeps as JSON."""
    with decoding("the headings of a chunk"):
        return tuple(json.loads(value))


def insert_rows(connection: Connection, rows: Sequence[tuple[int, str, str]]) -> None:
    """Make chunks searchable; `rows` are (chunk id, text, title and headings)."""
    if rows:
        connection.execute(
            text(f"INSERT INTO {TABLE}(rowid, body, headings, pairs) VALUES (:id, :body, :headings, :pairs)"),
            [
                {"id": chunk_id, "body": body, "headings": headings, "pairs": character_pairs(body)}
                for chunk_id, body, headings in rows
            ],
        )


def delete_rows(connection: Connection, chunk_ids: Iterable[int]) -> None:
    """Remove the full-text rows of chunks."""
    parameters = [{"id": chunk_id} for chunk_id in chunk_ids]
    if parameters:
        connection.execute(text(f"DELETE FROM {TABLE} WHERE rowid = :id"), parameters)


def search(
    connection: Connection, question: str, limit: int, *, generation_id: int, documents: str | None
) -> list[tuple[int, float]]:
    """(chunk id, BM25) of the best matches, highest first; `documents` is a bound id list or None for all.

    FTS5's `bm25()` is negative (lower is better); its sign is turned.
    """
    expression = _any_of(rarest_terms(connection, question_terms(question)))
    if expression is None:
        return []
    within = "AND c.document_id IN (SELECT value FROM json_each(:documents))" if documents is not None else ""
    weights = ", ".join(str(weight) for weight in WEIGHTS)
    statement = text(
        f"SELECT f.rowid, -bm25({TABLE}, {weights}) AS score FROM {TABLE} f JOIN chunks c ON c.id = f.rowid "
        f"WHERE {TABLE} MATCH :expression AND c.generation_id = :generation {within} "
        "ORDER BY score DESC, f.rowid LIMIT :limit"
    )
    parameters: dict[str, object] = {"expression": expression, "generation": generation_id, "limit": limit}
    if documents is not None:
        parameters["documents"] = documents
    return [(int(row[0]), float(row[1])) for row in connection.execute(statement, parameters)]


def rarest_terms(connection: Connection, terms: Sequence[str]) -> list[str]:
    """At most `LONGEST_SEARCH` of the terms, in their order: those that the fewest chunks hold, but some."""
    if len(terms) <= LONGEST_SEARCH:
        return list(terms)
    counts = holding(connection, terms)
    found = sorted((term for term in terms if counts[term]), key=lambda term: counts[term])
    kept = frozenset(found[:LONGEST_SEARCH])
    return [term for term in terms if term in kept]


def holding(connection: Connection, terms: Sequence[str]) -> dict[str, int]:
    """How many rows hold each term."""
    statement = text(f"SELECT count(*) FROM {TABLE} WHERE {TABLE} MATCH :expression")
    counts = {}
    for term in terms:
        row = connection.execute(statement, {"expression": term_expression(term)})
        counts[term] = int(row.scalar_one())
    return counts


def row_count(connection: Connection) -> int:
    """How many rows there are."""
    return int(connection.execute(text(f"SELECT count(*) FROM {TABLE}_docsize")).scalar_one())


def integrity_problem(connection: Connection) -> str | None:
    """What FTS5's own check (rank = 1: index against content) says, or None."""
    from sqlalchemy.exc import DatabaseError

    try:
        connection.execute(text(f"INSERT INTO {TABLE}({TABLE}, rank) VALUES ('integrity-check', 1)"))
    except DatabaseError as error:
        return str(error.orig)
    return None
