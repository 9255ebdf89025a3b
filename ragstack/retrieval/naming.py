"""What a question names outright: identifiers, proper names and numbers, as the search looks for them.

Told by their looks alone, so that nothing need be known of the documents. Whether a chunk holds them is in
`Hit.matched`; what follows if it does not is decided in `confidence`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragstack.words import QUESTION_STOP_WORDS

_WORD = re.compile(r"[^\W_]+")
_COMPOUND = re.compile(r"[^\W_]+(?:(?:[._:/@#+-]+|(?<=\d),(?=\d))[^\W_]+)*")
_IDENTIFIER = re.compile(r"(?=.*[^\W\d_])(?=.*[\d_]).*")
_ORDINAL = re.compile(r"\d+(?:s|st|nd|rd|th)", re.IGNORECASE)
_ACRONYM = re.compile(r"[A-Z]{2,}")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_SENTENCE_START = re.compile(r"(?:^|[.?!:])[\s\"'(\[“‘]*$")

_NO_NAMES = QUESTION_STOP_WORDS | frozenset(
    "january february march april may june july august september october november december".split()
)
"""Words with a capital that name nothing: those that are not searched for, and months, parts of dates."""


@dataclass(frozen=True, slots=True)
class Named:
    """The terms of a question that name something, in the form in which they are in `Hit.matched`.

    `identifiers` mix letters with digits or underscores (`e1019`, `deepseek-v3`, `audit_log_path`), `names`
    are words in capitals or with a capital that no sentence's start explains.
    """

    identifiers: frozenset[str]
    names: frozenset[str]
    numbers: frozenset[str]


def named(question: str) -> Named:
    """What `question` names; no names where its capitals tell nothing, as in one that is all capitals."""
    identifiers: set[str] = set()
    names: set[str] = set()
    numbers: set[str] = set()
    for match in _COMPOUND.finditer(question):
        found = match.group()
        if _NUMBER.fullmatch(found):
            numbers.add(found)
        elif _IDENTIFIER.fullmatch(found) and not _ORDINAL.fullmatch(found):
            identifiers.add(found.lower())
        else:
            starts = _SENTENCE_START.search(question[: match.start()]) is not None
            names.update(_names(found, starts_sentence=starts))
    return Named(
        frozenset(identifiers),
        frozenset(names) if _tells_by_capitals(question) else frozenset(),
        frozenset(numbers),
    )


def _names(found: str, *, starts_sentence: bool) -> Iterator[str]:
    for word in _WORD.findall(found):
        is_capital = word[0].isupper() and len(word) > 1 and not starts_sentence
        if (is_capital or _ACRONYM.fullmatch(word)) and word.lower() not in _NO_NAMES:
            yield word.lower()


def _tells_by_capitals(question: str) -> bool:
    """Whether any word that carries evidence begins small."""
    return any(word[0].islower() and word not in QUESTION_STOP_WORDS for word in _WORD.findall(question))
