from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragstack.answering.excerpts import excerpt
from ragstack.answering.terms import stem

LONG = (
    "The harbour office, which has stood beside the old quay since the flood, opens at eight on weekdays, and"
    " the crane that unloads the ferries is inspected every March by two engineers, although the winter"
    " schedule (posted on the door) may shift that by some weeks."
)


def nothing_asked(text: str) -> bool:
    return False


def shares(*words: str) -> dict[str, float]:
    return {stem(word): 1 / len(words) for word in words}


def cut(limit: int, *words: str) -> str:
    start, end = excerpt(LONG, limit, shares(*words), nothing_asked)
    return LONG[start:end]


def test_a_short_sentence_is_left_whole() -> None:
    assert excerpt("It opens at eight.", 250, shares("crane"), nothing_asked) == (0, 18)


def test_the_stretch_that_covers_the_question_is_kept() -> None:
    assert "crane" in cut(120, "crane", "inspected")
    assert "harbour office" in cut(120, "harbour", "quay")
    assert cut(120, "schedule", "weeks").endswith("may shift that by some weeks.")


def test_an_excerpt_begins_and_ends_at_clauses() -> None:
    assert cut(100, "crane", "inspected") == (
        "and the crane that unloads the ferries is inspected every March by two engineers,"
    )


def test_holding_what_is_asked_for_decides_between_stretches() -> None:
    sentence = "The pump was painted red by the new owner, and it was installed by the mayor himself in 1997."
    start, end = excerpt(sentence, 60, shares("pump"), lambda text: "1997" in text)
    assert sentence[start:end].startswith("The pump")  # a quarter is less than the only word asked about
    start, end = excerpt(sentence, 60, {}, lambda text: "1997" in text)
    assert "1997" in sentence[start:end]


def test_a_clause_longer_than_the_limit_is_cut_at_a_word() -> None:
    sentence = "alpha beta gamma delta epsilon zeta eta theta iota kappa"
    start, end = excerpt(sentence, 20, {}, nothing_asked)
    assert sentence[start:end] == "alpha beta gamma"


def test_a_word_longer_than_the_limit_is_cut_at_the_limit() -> None:
    assert excerpt("x" * 500, 250, {}, nothing_asked) == (0, 250)


@given(
    sentence=st.text(alphabet="ab ,;()—.\n", min_size=1, max_size=300).filter(str.strip).map(str.strip),
    limit=st.integers(min_value=2, max_value=120),
    word=st.sampled_from(["a", "b", "ab", "ba"]),
)
def test_an_excerpt_is_a_slice_within_the_limit_that_is_not_blank(
    sentence: str, limit: int, word: str
) -> None:
    start, end = excerpt(sentence, limit, {word: 1.0}, nothing_asked)
    assert 0 <= start < end <= len(sentence)
    assert end - start <= limit
    assert sentence[start:end].strip()


def test_a_word_beside_a_cut_counts_less_than_one_with_its_surroundings() -> None:
    sentence = (
        "Among the ships that were built in the yard before the war, the smaller of which carried coal to the"
        " islands while larger ones went overseas with mail, the ferry was the Skerryvore of 1911, which is"
        " still afloat and carries visitors in summer."
    )
    start, end = excerpt(sentence, 170, shares("ferry"), nothing_asked)
    assert "the ferry was the Skerryvore of 1911" in sentence[start:end]


def test_words_of_a_script_without_blanks_are_found_in_pairs() -> None:
    sentence = (
        "修理の受付は平日の午前九時から, " * 10
        + "湿度センサーの在庫は京都の倉庫に二十個あります, "
        + "詳細は別紙です, " * 20
    )
    start, end = excerpt(sentence, 80, dict.fromkeys(["京都", "倉庫"], 0.5), nothing_asked)
    assert "京都の倉庫" in sentence[start:end]
