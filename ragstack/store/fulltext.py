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

TABLE = "chunk_search"

ROWS = table(TABLE, column("rowid"), column("body"))
ROWID, BODY = ROWS.c.rowid, ROWS.c.body
"""The full-text table as far as other statements join it."""

# Weight of a match in the body, in the title and headings, and in a pair of characters.
WEIGHTS = (1.0, 1.0, 1.0)

# Han, Hiragana, Katakana, Bopomofo, Hangul, Thai, Lao, Khmer, Myanmar: scripts whose words have no spaces, or
# (Hangul) whose words take endings that the stemmer does not know.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3100-\u31bf"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")
_WORD = re.compile(f"[^\\W_{_UNSPACED}]+")

# Words that carry no evidence; dropped from a question unless nothing else is left of it.
STOP_WORDS = frozenset(
    "a about an and are as at be been but by can could did do does for from had has have how i if in into is "
    "it its me my of on or our so than that the their them then there these they this to us was we were what "
    "when where which who whom whose why will with would you your".split()
)


def character_pairs(value: str) -> str:
    """Overlapping pairs of characters of every unspaced run, by blanks; a lone one stays single."""
    pairs: list[str] = []
    for run in _UNSPACED_RUN.findall(value):
        pairs.extend(run[at : at + 2] for at in range(max(1, len(run) - 1)))
    return " ".join(pairs)


def match_expression(question: str) -> str | None:
    """FTS5 expression that matches any word or pair of the question; None when it holds neither."""
    words = [word.lower() for word in _WORD.findall(question)]
    telling = [word for word in words if word not in STOP_WORDS] or words
    terms = [f'"{word}"' for word in dict.fromkeys(telling)]
    for run in _UNSPACED_RUN.findall(question):
        terms.extend(_pair_terms(run))
    return " OR ".join(dict.fromkeys(terms)) or None


def _pair_terms(run: str) -> list[str]:
    if len(run) == 1:
        return [f'pairs : "{run}" *']
    return [f'pairs : "{run[at : at + 2]}"' for at in range(len(run) - 1)]


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
    expression = match_expression(question)
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


def statistics_agree(connection: Connection) -> bool:
    """Whether the totals that BM25 divides by are those of the rows, which FTS5's own check leaves out.

    The record of totals (id 1 of the data table) and the sizes of each row are lists of SQLite's
    variable-length integers (https://www.sqlite.org/fts5.html#the_averages_record).
    """
    record = connection.execute(text(f"SELECT block FROM {TABLE}_data WHERE id = 1")).scalar()
    sizes = connection.execute(text(f"SELECT sz FROM {TABLE}_docsize")).scalars()
    rows = [_varints(size) for size in sizes]
    columns = [sum(column) for column in zip(*rows, strict=False)] if rows else []
    noted = _varints(record or b"\0")
    return noted[0] == len(rows) and noted[1:] == (columns or noted[1:])


def _varints(data: bytes) -> list[int]:
    """Integers of seven bits a byte, highest first; in an integer of nine bytes the last one has eight."""
    values, value, length = [], 0, 0
    for byte in data:
        length += 1
        value = value << 8 | byte if length == 9 else value << 7 | byte & 0x7F
        if byte < 0x80 or length == 9:
            values.append(value)
            value = length = 0
    return values


def integrity_problem(connection: Connection) -> str | None:
    """What FTS5's own check (rank = 1: index against content) says, or None."""
    from sqlalchemy.exc import DatabaseError

    try:
        connection.execute(text(f"INSERT INTO {TABLE}({TABLE}, rank) VALUES ('integrity-check', 1)"))
    except DatabaseError as error:
        return str(error.orig)
    return None
