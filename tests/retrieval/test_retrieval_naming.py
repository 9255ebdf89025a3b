"""What a question names, told by its looks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.retrieval.naming import named
from ragstack.store.fulltext import question_terms


@pytest.mark.parametrize(
    ("question", "identifiers"),
    [
        ("How is E1019 cleared on a B3?", {"e1019", "b3"}),
        ("How large is the cache of DeepSeek-V3?", {"deepseek-v3"}),
        ("the default of audit_log_path", {"audit_log_path"}),
        ("Who lived in the 19th century or the 80s?", set()),
    ],
)
def test_identifiers_mix_letters_with_digits_or_underscores(question, identifiers):
    assert named(question).identifiers == identifiers


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What does Aramaki Shoten charge?", {"aramaki", "shoten"}),
        ("Does Porter's index use HNSW or IVF?", {"porter", "hnsw", "ivf"}),
        ("The index was lost. Backups were there?", set()),
        ('She said "Backups are for others", why?', {"backups"}),
        ("which US city is it, IT said", set()),
        ("who met in September at The Hague?", {"hague"}),
        ("WHAT IS THE NOTICE PERIOD?", set()),
        ("What Is The Notice Period?", set()),
    ],
)
def test_names_have_a_capital_that_nothing_else_explains(question, names):
    assert named(question).names == names


def test_numbers_are_apart_from_identifiers():
    found = named("what changed from 3.0.0 on 2 September 2025 for 10,000 users?")
    assert found.numbers == {"3.0.0", "2", "2025", "10,000"}
    assert found.identifiers == frozenset()


WORDS = st.sampled_from(
    ["US", "IT", "Who", "is", "Aramaki", "TCP/IP", "E1019", "3.0.0", "2025", "May", "Wren-L"]
)


@given(st.lists(st.one_of(WORDS, st.text(alphabet="abXY Z12_.-,?:'\"\u00c4\u00df/@#+", max_size=9))))
def test_whatever_is_named_is_a_term_that_the_search_looks_for(pieces):
    question = " ".join(pieces)
    found = named(question)
    assert found.identifiers | found.names | found.numbers <= set(question_terms(question))
