"""What kind of thing a question asks for, and whether a sentence holds one.

"How many" wants a number, "when" a date, "who" and "where" a name. Only English question words are known; a
question in another language asks for anything, and is then judged by its words and meaning alone.
"""

from __future__ import annotations

import re
from enum import StrEnum

from ragstack.answering.terms import words


class Kind(StrEnum):
    """What a question asks for."""

    QUANTITY = "quantity"
    TIME = "time"
    NAME = "name"
    ANYTHING = "anything"


_ASKS = (
    (
        Kind.QUANTITY,
        re.compile(
            r"\bhow\s+(?:many|much|old|long|far|large|big|tall|deep|wide|high|heavy|fast|often)\b"
            r"|\b(?:what|which)\s+(?:number|percent|percentage|amount|proportion|fraction|population|price)\b",
            re.IGNORECASE,
        ),
    ),
    (
        Kind.TIME,
        re.compile(
            r"\b(?:when|since when|until when)\b"
            r"|\b(?:what|which)\s+(?:year|date|day|month|week|century|decade|time|era|period)\b",
            re.IGNORECASE,
        ),
    ),
    (
        Kind.NAME,
        re.compile(
            r"\b(?:who|whom|whose|where)\b"
            r"|\b(?:what|which)\s+(?:person|city|town|country|state|region|river|island|street|continent|nation)\b",
            re.IGNORECASE,
        ),
    ),
)

_HELD = {
    Kind.QUANTITY: re.compile(
        r"\d[\d.,]*|\b(?:no|none|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty"
        r"|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?|half|third|quarter|dozens?"
        r"|once|twice)\b",
        re.IGNORECASE,
    ),
    Kind.TIME: re.compile(
        r"\b[12]\d{3}s?\b|\b\d{1,2}[:.]\d\d\b|\b\d{1,4}\s?(?:BC|AD|BCE|CE|am|pm)\b"
        r"|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b"
        r"|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b"
        r"|\b(?:century|centuries|decades?|years?|months?|weeks?|days?|hours?|minutes?|today|tomorrow|yesterday)\b"
    ),
    # A capital that does not begin the sentence; one that does tells nothing.
    Kind.NAME: re.compile(r"(?<=[^\s.!?] )[\"'(]?[A-Z][\w'-]+"),
}


def asked_kind(question: str) -> Kind:
    """What the question asks for."""
    return next((kind for kind, pattern in _ASKS if pattern.search(question)), Kind.ANYTHING)


def holds(kind: Kind, text: str, question: str) -> bool:
    """Whether the text holds a thing of this kind that the question does not name itself."""
    pattern = _HELD.get(kind)
    if pattern is None:
        return True
    named = set(words(question))
    return any(not named.issuperset(words(match.group())) for match in pattern.finditer(text))
