"""Where words with given stems stand in texts; words and stems are exactly those of the full-text index.

Indexing the texts once more in memory would tell as much, but takes as long each time. Here FTS5 is asked
once what it makes of a character beyond ASCII, and of a word if its stem may be one that is looked for. Words
are numbered, and texts read lately are remembered as the numbers of their words. For a question's 90 chunks
that takes 1.8 ms in place of 3.8 in a store of 1,074 chunks, 3.4 falling to 2.5 in place of 4.3 in one of
24,735 (2 cores AMD EPYC, 300 questions).
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int32]

MOST_WORDS = 300_000
"""Words that are remembered, about 50 MB; when there are more, everything is forgotten and learned anew."""

MOST_TEXTS = 20_000
"""Texts that are remembered, about 30 MB of chunks of the usual size; likewise."""

_SEPARATOR = " "
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_ASCII = "".join(chr(code).lower() if chr(code).isalnum() else _SEPARATOR for code in range(0x80))
_BYTES = _ASCII.encode() + bytes(range(0x80, 0x100))
"""For each byte of UTF-8: letters in lower case, digits, a blank for other ASCII, the rest as it is."""

_COMPARED = 3
"""Bytes of a word that are looked at to see whether it may have a stem, which it shares but for the last."""

Place = tuple[str, int, int]
"""What was looked for, the number of the text that holds it, and how many words stand before it there."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where the stems stand, and the words with the beginnings, in order; and the words of each text."""

    stems: Sequence[Place]
    beginnings: Sequence[Place]
    lengths: Sequence[int]


class Vocabulary:
    """Reads texts as FTS5's `porter unicode61 remove_diacritics 2` does. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokenizer = _Tokenizer()
        self._forget()

    def _forget(self) -> None:
        self._numbers = _Numbers()
        self._beginnings: IntArray = np.empty(0, np.int32)
        self._stems: dict[int, str] = {}
        self._texts: dict[str, IntArray] = {}
        self._terms: dict[str, tuple[str, ...]] = {}

    def stems(self, terms: Sequence[str]) -> list[tuple[str, ...]]:
        """The stems of each term: none, one, or those of its words in order."""
        with self._lock:
            if len(self._terms) > MOST_WORDS:
                self._forget()
            self._learn_terms({term for term in terms if term not in self._terms})
            return [self._terms[term] for term in terms]

    def _learn_terms(self, terms: set[str]) -> None:
        """Plain words are one text, of which each is one stem: that is quicker than a text for each."""
        words = [term for term in terms if term.isascii() and term.isalnum()]
        others = [*terms.difference(words)]
        of_words, *of_others = self._tokenizer.stems([" ".join(words), *others])
        self._terms.update((word, (stem,)) for word, stem in zip(words, of_words, strict=True))
        self._terms.update(zip(others, map(tuple, of_others), strict=True))

    def find(self, texts: Sequence[str], stems: Iterable[str], beginnings: Iterable[str]) -> Found:
        """Looks in all texts for words with one of the stems, and for words with one of the beginnings."""
        with self._lock:
            read = self._read(texts)
            lengths = [len(numbers) for numbers in read]
            joined = np.concatenate([np.empty(0, np.int32), *read])
            starts = np.cumsum([0, *lengths])
            sought = np.zeros(len(self._numbers), np.bool_)
            sought[joined] = True
            distinct = np.flatnonzero(sought).astype(np.int32)
            return Found(
                _places(joined, starts, self._with_stems(frozenset(stems), distinct)),
                [
                    place
                    for beginning in beginnings
                    for place in _places(joined, starts, self._with_beginning(beginning, distinct))
                ],
                lengths,
            )

    # ---------------------------------------------------------------- texts and words

    def _read(self, texts: Sequence[str]) -> list[IntArray]:
        """Every text as the numbers of its words."""
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if len(self._numbers) > MOST_WORDS or len(self._texts) + len(new) > MOST_TEXTS:
            self._forget()
            new = list(dict.fromkeys(texts))
        number = self._numbers.__getitem__
        for text in new:
            words = self._tokenizer.words(text)
            self._texts[text] = np.fromiter(map(number, words), np.int32, len(words))
        if unknown := self._numbers.words[len(self._beginnings) :]:
            self._beginnings = np.append(self._beginnings, _beginnings(unknown))
        return [self._texts[text] for text in texts]

    def _with_stems(self, stems: Collection[str], distinct: IntArray) -> dict[int, str]:
        """The numbers of the words that have one of the stems, among some, and which it is."""
        likely = distinct[self._may_have(stems, self._beginnings[distinct])].tolist()
        unknown = [number for number in likely if number not in self._stems]
        if unknown:
            text = b" ".join(self._numbers.words[number] for number in unknown).decode()
            self._stems.update(zip(unknown, *self._tokenizer.stems([text]), strict=True))
        return {number: stem for number in likely if (stem := self._stems[number]) in stems}

    def _with_beginning(self, beginning: str, distinct: IntArray) -> dict[int, str]:
        start, words = beginning.encode(), self._numbers.words
        return {number: beginning for number in distinct.tolist() if words[number].startswith(start)}

    def _may_have(self, stems: Iterable[str], beginnings: IntArray) -> NDArray[np.bool_]:
        """Which words, of which the beginnings are given, may have one of the stems.

        A Porter stem without its last letter is the beginning of each of its words; so is its first letter.
        """
        sought: dict[int, set[int]] = defaultdict(set)
        for stem in stems:
            letters = stem.encode()
            length = min(max(len(letters) - 1, 1), _COMPARED)
            sought[length].add(int.from_bytes(letters[:length], "big"))
        likely = np.zeros(len(beginnings), np.bool_)
        for length, codes in sought.items():
            likely |= np.isin(beginnings >> 8 * (_COMPARED - length), list(codes))
        return likely


class _Numbers(dict[bytes, int]):
    """Numbers each word when it is first looked up; `words` are in the order of their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[bytes] = []

    def __missing__(self, word: bytes) -> int:
        number = self[word] = len(self.words)
        self.words.append(word)
        return number


class _Tokenizer:
    """The words of texts by what FTS5 says of their characters, and their stems by what it says of them."""

    def __init__(self) -> None:
        self._unstemmed = _FullTextTokens("unicode61 remove_diacritics 2")
        self._stemmed = _FullTextTokens("porter unicode61 remove_diacritics 2")
        self._folded: dict[str, str] = {}

    def words(self, text: str) -> list[bytes]:
        """In UTF-8, without capitals and diacritics, not stemmed."""
        if not text.isascii():
            text = _BEYOND_ASCII.sub(self._fold, text)
        return text.encode().translate(_BYTES).split()

    def stems(self, texts: Sequence[str]) -> list[list[str]]:
        """The stems of every text in the order of its words."""
        return self._stemmed.of(texts)

    def _fold(self, found: re.Match[str]) -> str:
        character = found[0]
        if character not in self._folded:
            # Between two letters it parts them, vanishes, or stands as it is indexed.
            ((first, *others),) = self._unstemmed.of([f"a{character}a"])
            self._folded[character] = _SEPARATOR if others else first[1:-1]
        return self._folded[character]


class _FullTextTokens:
    """What one of FTS5's tokenizers makes of texts. One thread at a time."""

    def __init__(self, tokenizer: str) -> None:
        self._database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._database.executescript(
            f"CREATE VIRTUAL TABLE texts USING fts5(text, content = '', tokenize = '{tokenizer}');"
            "CREATE VIRTUAL TABLE tokens USING fts5vocab(texts, instance);"
        )

    def of(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of every text in order."""
        tokens: list[list[str]] = [[] for _ in texts]
        self._database.executemany("INSERT INTO texts(rowid, text) VALUES (?, ?)", enumerate(texts))
        try:
            for number, token in self._database.execute("SELECT doc, term FROM tokens ORDER BY doc, offset"):
                tokens[number].append(token)
        finally:
            self._database.execute("INSERT INTO texts(texts) VALUES ('delete-all')")
        return tokens


def _beginnings(words: Sequence[bytes]) -> IntArray:
    """The first three bytes of each word as a number, filled up with 0."""
    letters = np.array(words, f"S{_COMPARED}").view(np.uint8).reshape(-1, _COMPARED).astype(np.int32)
    return letters @ np.array([256**place for place in reversed(range(_COMPARED))], np.int32)


def _places(joined: IntArray, starts: NDArray[np.int64], sought: Mapping[int, str]) -> list[Place]:
    """Where the words of some numbers stand in texts that are joined and begin at `starts`."""
    what = list(sought.values())
    of_word = np.full(int(joined.max(initial=0)) + 1, -1, np.int32)
    of_word[list(sought)] = range(len(sought))
    found = of_word[joined]
    places = np.flatnonzero(found >= 0)
    texts = np.searchsorted(starts, places, side="right") - 1
    offsets = places - starts[texts]
    return [
        (what[key], text, offset)
        for key, text, offset in zip(found[places].tolist(), texts.tolist(), offsets.tolist(), strict=True)
    ]


@cache
def vocabulary() -> Vocabulary:
    """The one of this process."""
    return Vocabulary()
