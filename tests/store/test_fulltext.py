from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_fixtures import Filled

from ragstack.records import Filter
from ragstack.store import fulltext
from ragstack.store.database import driver
from ragstack.store.fulltext import (
    LONGEST_SEARCH,
    integrity_problem,
    match_expression,
    question_terms,
)
from ragstack.words import character_pairs

NO_FILTER = Filter()


def _found(filled: Filled, question: str) -> list[str]:
    with filled.store.read() as snapshot:
        candidates = snapshot.lexical_candidates(question, 10, NO_FILTER)
        chunks = snapshot.chunks(candidate.chunk_id for candidate in candidates)
        return [chunks[candidate.chunk_id].text for candidate in candidates]


@pytest.mark.parametrize(
    ("stored", "question"),
    [
        ("the caches were flushed", "flushing a cache"),
        ("Überraschung im Café", "uberraschung"),
        ("call reset_device_state first", "what does reset_device_state do?"),
        ("上海の天気は晴れです", "天気"),
        ("机器学习模型需要内存", "内存"),
        ("机器学习模型需要内存", "模型"),
        ("ラーメンを食べる", "ラーメン"),
        ("東京タワーの高さ", "塔と東京"),
        ("ภาษาไทยไม่มีช่องว่าง", "ไทย"),
        ("山", "山"),
        ("富士山に登る", "山"),
    ],
)
def test_a_text_is_found_by_a_word_of_it(filled: Filled, stored: str, question: str) -> None:
    filled.put("other.txt", "nothing of that kind\n别的内容完全不同")
    filled.put("a.txt", stored)
    assert _found(filled, question)[:1] == [stored]


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("what does reset_device_state do?", ["reset_device_state", "reset", "device", "state"]),
        ("error E1042 in version 2.3.1", ["error", "e1042", "version", "2.3.1"]),
        ("call getUserName", ["call", "get_user_name", "getusername"]),
        ("1,000 people", ["1,000", "people"]),
        ("東京タ", ["東京", "京タ"]),
    ],
)
def test_an_identifier_is_searched_whole_and_by_its_words(question: str, terms: list[str]) -> None:
    assert question_terms(question) == terms


def test_a_version_is_found_as_it_stands_and_not_by_its_numbers(filled: Filled) -> None:
    filled.put("a.txt", "release 3 of 1 with 2 changes")
    filled.put("b.txt", "release 2.3.1 brings nothing that many other words could not say as well")
    assert _found(filled, "2.3.1") == [
        "release 2.3.1 brings nothing that many other words could not say as well"
    ]


def test_a_name_in_camel_case_finds_the_words_it_is_made_of(filled: Filled) -> None:
    filled.put("a.txt", "get user name from the session")
    filled.put("b.txt", "the user has a name to get")
    assert _found(filled, "getUserName") == ["get user name from the session"]


def test_of_a_very_long_question_the_rarest_words_are_searched(filled: Filled) -> None:
    for number in range(6):
        filled.put(f"{number}.txt", " ".join(f"common{word}" for word in range(100)))
    filled.put("rare.txt", "zebra")
    letter = " ".join(
        [*(f"common{word}" for word in range(100)), "zebra", *("absent" * n for n in range(1, 9))]
    )
    with filled.store.read() as snapshot:
        assert "zebra" in snapshot.term_counts(letter).holding
        assert len(snapshot.term_counts(letter).holding) == LONGEST_SEARCH
    assert "zebra" in _found(filled, letter)


def test_stop_words_are_no_evidence_unless_there_is_nothing_else(filled: Filled) -> None:
    filled.put("a.txt", "what is the and of to")
    filled.put("b.txt", "penguins")
    assert _found(filled, "what is the size of penguins") == ["penguins"]
    assert _found(filled, "what is the") == ["what is the and of to"]


def test_the_better_match_ranks_first_and_scores_are_positive(filled: Filled) -> None:
    filled.put("a.txt", "heat pump\nheat pump defrost cycle\nunrelated words here")
    with filled.store.read() as snapshot:
        found = snapshot.lexical_candidates("defrost cycle of the heat pump", 10, NO_FILTER)
        assert [candidate.rank for candidate in found] == [1, 2]
        assert found[0].score > found[1].score > 0


def test_a_heading_is_matched_too(filled: Filled) -> None:
    filled.put("a.txt", "just a body")
    assert _found(filled, "Part") == ["just a body"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=40), st.text(alphabet="\"*():^-+AND ORNEAR{}'\\;%", max_size=40)))
def test_no_question_is_ever_syntax(filled: Filled, question: str) -> None:
    with filled.store.read() as snapshot:
        snapshot.lexical_candidates(question, 5, NO_FILTER)
        snapshot.term_counts(question)


def test_a_question_without_a_word_matches_nothing() -> None:
    assert match_expression(question_terms("?!... --")) is None
    assert match_expression(question_terms("")) is None


def test_pairs_overlap_and_leave_spaced_scripts_alone() -> None:
    assert character_pairs("中国人 and 日") == "中国 国人 日"
    assert character_pairs("only latin words") == ""


def test_the_full_text_index_agrees_with_its_rows(filled: Filled) -> None:
    ids = [filled.put(f"{number}.txt", f"text number {number}") for number in range(20)]
    filled.put("3.txt", "replaced", replaces=ids[3])
    with filled.store.write() as writer:
        writer.remove_documents(ids[5:9])
        with writer.engine.begin() as connection:
            assert integrity_problem(driver(connection)) is None


def test_a_word_that_many_chunks_hold_finds_none_beside_a_rarer_one(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fulltext, "FREQUENT_ROWS", 3)
    for number in range(8):
        filled.put(f"{number}.txt", f"manual number {number}")
    filled.put("probe.txt", "the manual of the probe")
    with filled.store.read() as snapshot:
        assert snapshot.term_counts("probe manual").holding == {"probe": 1, "manual": 9}

    assert _found(filled, "probe manual") == ["the manual of the probe"]
    assert len(_found(filled, "manual absent")) == 9
    with filled.store.read() as snapshot:
        within = snapshot.lexical_candidates("probe manual", 10, Filter(paths=("1.txt", "probe.txt")))
        assert len(within) == 2
