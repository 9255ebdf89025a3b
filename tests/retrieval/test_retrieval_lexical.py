"""What words say of a chunk, on chunks small enough to work the numbers out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.records import StoredChunk, TermCounts
from ragstack.retrieval.lexical import lexical_evidence, rarities
from ragstack.retrieval.occurrences import find_occurrences


def chunk(text: str, *, title: str | None = None, headings: tuple[str, ...] = ()) -> StoredChunk:
    return StoredChunk(1, 1, 0, 0, len(text), text, 1, headings, "a.md", title, "text/plain", "0")


def evidence_of(terms: list[str], *texts: str):
    chunks = {number: chunk(text) for number, text in enumerate(texts)}
    counts = TermCounts(100, dict.fromkeys(terms, 1))
    return lexical_evidence(counts, find_occurrences(terms, chunks))


def test_words_are_found_in_every_form_that_the_stemmer_knows():
    found = find_occurrences(["cache"], {7: chunk("Caches are flushed; caching stops.")})
    assert found.places == {7: {"cache": (0, 3)}}
    assert found.lengths == {7: 5}


def test_a_phrase_is_found_only_where_its_words_stand_in_a_row():
    chunks = {1: chunk("set reset_device_state now"), 2: chunk("reset the device and its state")}
    found = find_occurrences(["reset_device_state", "state"], chunks)
    assert found.places[1] == {"reset_device_state": (1,), "state": (3,)}
    assert "reset_device_state" not in found.places[2]


def test_a_heading_counts_but_is_never_near_the_text():
    chunks = {1: chunk("pump", headings=("Defrost",))}
    counts = TermCounts(100, {"defrost": 1, "pump": 1})
    evidence = lexical_evidence(counts, find_occurrences(["defrost", "pump"], chunks))[1]
    assert evidence.matched == ("defrost", "pump")
    assert evidence.nearness == pytest.approx(0.5)
    assert evidence.adjacency == 0


def test_pairs_and_single_characters_of_scripts_without_blanks_are_found():
    found = find_occurrences(["天気", "山"], {1: chunk("上海の天気は晴れです"), 2: chunk("富士山に登る")})
    assert set(found.places[1]) == {"天気"}
    assert set(found.places[2]) == {"山"}


def test_a_rare_term_weighs_more_and_an_absent_one_most():
    weights = rarities(TermCounts(100, {"common": 60, "rare": 2, "absent": 0}))
    assert weights["common"] == 1e-6
    assert weights["rare"] == pytest.approx(math.log(98.5 / 2.5))
    assert weights["absent"] > weights["rare"]


def test_bm25_rises_with_terms_and_saturates_with_repetitions():
    one, twice, both = (
        evidence.bm25
        for evidence in evidence_of(
            ["pump", "cycle"], "pump x x x", "pump pump x x", "pump cycle x x"
        ).values()
    )
    assert 0 < one < twice < both < 2 * one * 1.01


def test_terms_in_one_sentence_are_nearer_than_terms_far_apart():
    far = "defrost" + " x" * 60 + " pump"
    near, apart = evidence_of(["defrost", "pump"], "x defrost the heat pump" + " x" * 56, far).values()
    assert near.nearness == pytest.approx(1.0)
    assert apart.nearness == pytest.approx(0.5)
    assert near.adjacency == 1.0
    assert apart.adjacency == 0.0


def test_a_term_that_nobody_holds_lowers_nearness():
    counts = TermCounts(100, {"pump": 1, "unicorn": 0})
    evidence = lexical_evidence(counts, find_occurrences(["pump", "unicorn"], {1: chunk("a pump")}))[1]
    assert evidence.nearness < 0.5


def test_the_rarest_term_decides_on_coverage():
    counts = TermCounts(100, {"common": 30, "rare": 1})
    chunks = {1: chunk("common"), 2: chunk("rare"), 3: chunk("both common and rare"), 4: chunk("neither")}
    evidence = lexical_evidence(counts, find_occurrences(list(counts.holding), chunks))
    common, rare, both, neither = (each.coverage for each in evidence.values())
    assert neither == 0 < common < 0.2 < 0.8 < rare < both == pytest.approx(1.0)
    assert common + rare == pytest.approx(1.0)


def test_an_identifier_counts_more_for_coverage_than_a_word_as_rare():
    word, identifier = evidence_of(["pump", "e1042"], "the pump", "code e1042").values()
    assert identifier.coverage == pytest.approx(2 * word.coverage)


def test_a_related_word_stands_in_for_a_term_that_the_chunk_lacks():
    film, movie, neither = evidence_of(["movie"], "a film of his", "a movie of his", "a song of his").values()
    assert film.related.words == (("movie", "film"),)
    assert 0 < film.related.bm25 < movie.bm25
    assert 0 < film.related.nearness < movie.nearness
    assert film.bm25 == film.nearness == film.coverage == 0
    assert film.matched == ()
    assert movie.related.words == neither.related.words == ()
    assert movie.related.bm25 == neither.related.bm25 == 0


def test_the_closest_related_word_stands_in_whatever_its_form():
    found = find_occurrences(["movies"], {1: chunk("documentaries and films")})
    assert found.stand_ins[1]["movies"].related.word == "film"
    assert found.stand_ins[1]["movies"].places == (2,)


def test_a_stand_in_makes_a_pair_with_the_word_beside_it():
    evidence = evidence_of(["silent", "movie"], "the silent film of his")[0]
    assert evidence.adjacency == 0
    assert 0 < evidence.related.adjacency < 1
    assert evidence.nearness + evidence.related.nearness < 1


@given(st.lists(st.sampled_from("pump cycle heat x y z".split()), max_size=120))
def test_shares_are_shares_and_a_match_scores_above_nothing(words):
    text = " ".join(words) or "z"
    evidence = evidence_of(["pump", "cycle", "heat"], text)[0]
    assert 0 <= evidence.nearness <= 1 + 1e-9
    assert 0 <= evidence.adjacency <= 1 + 1e-9
    assert 0 <= evidence.coverage <= 1 + 1e-9
    assert (evidence.bm25 > 0) == bool(evidence.matched) == bool({"pump", "cycle", "heat"} & set(words))


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_term_and_no_text_breaks_the_search(term, text):
    find_occurrences([term], {1: chunk(text)})
