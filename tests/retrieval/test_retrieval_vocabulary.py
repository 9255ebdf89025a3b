"""The vocabulary against FTS5 itself: whatever the text, words and stems are those of the index."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import groupby
from operator import itemgetter

from hypothesis import given
from hypothesis import strategies as st

from ragstack.retrieval import related, vocabulary
from ragstack.retrieval.vocabulary import Vocabulary

WORDS = Vocabulary()

# Letters, signs and marks of many kinds beside what Porter's rules look at.
CHARACTERS = (
    "aeiybtlzs sing-ed. AZ9_'\x00\t\u00e9\u0130\u00df\u0301\u0345\u0900\u093e\u0e01\u0e34\u3042\u4e2d"
    "\U00020000\u2019\u00b2"
)
SUFFIXES = (
    "s ed ing ly y ies ability ization ational fulness iveness biliti logi ement ness able ible al".split()
)

texts = st.lists(
    st.text(st.sampled_from(CHARACTERS) | st.characters(exclude_categories=["Cs"]), max_size=60), max_size=6
)
suffixed = st.builds(str.__add__, st.text("abeiloyz", min_size=1, max_size=6), st.sampled_from(SUFFIXES))


def indexed(given: Sequence[str], tokenizer: str = "porter unicode61") -> list[tuple[str, int, int]]:
    """(stem, number of the text, place) as FTS5 has them."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            f"CREATE VIRTUAL TABLE t USING fts5(x, tokenize = '{tokenizer} remove_diacritics 2');"
            "CREATE VIRTUAL TABLE v USING fts5vocab(t, instance);"
        )
        database.executemany("INSERT INTO t(rowid, x) VALUES (?, ?)", enumerate(given))
        return sorted(database.execute("SELECT term, doc, offset FROM v"))


def check(given: Sequence[str], words: Vocabulary = WORDS) -> None:
    """Every stem is looked for by itself, so that no other one leads to its words."""
    expected = indexed(given)
    by_stem = {stem: [*places] for stem, places in groupby(expected, key=itemgetter(0))}
    for stem, places in by_stem.items():
        assert sorted(words.find(given, [stem], []).stems) == places
    found = words.find(given, [*by_stem, "never"], [])
    assert sorted(found.stems) == expected
    assert found.lengths == [sum(doc == number for _, doc, _ in expected) for number in range(len(given))]


@given(texts)
def test_any_text_has_the_words_and_stems_of_the_full_text_index(given):
    check(given)


@given(st.lists(suffixed, max_size=40))
def test_no_form_of_a_stem_is_missed(words):
    check([" ".join(words)])


def test_every_word_of_the_table_of_related_words_is_found_by_its_stem():
    words = sorted({each.word for stem in related._table() for each in related.related_words(stem)})
    assert len(words) > 5_000
    check([" ".join(words)])


@given(texts, st.sampled_from("ab9\u00e9\u3042\u4e2d\U00020000"))
def test_words_are_found_by_their_beginning(given, beginning):
    expected = [place for place in indexed(given, "unicode61") if place[0].startswith(beginning)]
    found = WORDS.find(given, [], [beginning])
    assert sorted(found.beginnings) == [
        (beginning, doc, offset) for _, doc, offset in sorted(expected, key=itemgetter(1, 2))
    ]


@given(st.lists(st.text(max_size=20), max_size=5))
def test_terms_have_the_stems_of_the_full_text_index(terms):
    expected = [
        tuple(
            stem
            for _, stem in sorted((offset, stem) for stem, doc, offset in indexed(terms) if doc == number)
        )
        for number in range(len(terms))
    ]
    assert WORDS.stems(terms) == expected


def test_what_was_forgotten_is_learned_again(monkeypatch):
    monkeypatch.setattr(vocabulary, "MOST_WORDS", 3)
    monkeypatch.setattr(vocabulary, "MOST_TEXTS", 4)
    words = Vocabulary()
    for text in ("pumps leak", "a leaking pump hums", "five new words stand here", "pumps leak"):
        check([text, "pumped"], words)
    check([f"pump {number}" for number in range(9)], words)


def test_threads_share_one_vocabulary():
    words = Vocabulary()
    given = [[f"pump {number} leaks", f"word{number} and pumping"] for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: words.find(each, ["pump"], []).stems, given))
    assert found == [[("pump", 0, 0), ("pump", 1, 2)]] * 40
