from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_world import passage

from ragstack.answering.checking import check, refuses
from ragstack.answering.support import missing_figures
from ragstack.records import Location, SupportState

GUARANTEE = (
    "The guarantee of a chamber lasts twenty-four months from the day of delivery. For the compressor it"
    " lasts sixty months. Wearing parts such as the door gasket are not covered."
)
CATS = "Ann fed the cat at noon on Tuesday. Ben slept in the garden until the evening."


class Source:
    """Knows no places; the citations' spans are what matters here."""

    def read_text(self, document_id, start, end):
        raise AssertionError("nothing has to be read again")

    def locate(self, document_id, start, end):
        return Location()


PASSAGES = [passage(GUARANTEE), passage(CATS, document_id=2, start=40)]


def checked(minilm, answer, question="How long is the guarantee of the compressor?"):
    return check(question, answer, PASSAGES, minilm, Source())


def states(result):
    return [each.state for each in result.sentences]


def test_a_sentence_that_its_source_bears_out_is_supported(minilm):
    result = checked(minilm, "The compressor is guaranteed for sixty months [1].")
    assert states(result) == [SupportState.SUPPORTED]
    (citation,) = result.citations
    assert citation.quote.endswith("For the compressor it lasts sixty months.")
    assert GUARANTEE[citation.start : citation.end] == citation.quote


def test_a_sentence_under_the_wrong_number_is_not_supported(minilm):
    assert states(checked(minilm, "The compressor is guaranteed for sixty months [2].")) == [
        SupportState.UNSUPPORTED
    ]


def test_a_figure_that_no_cited_source_has_is_not_supported(minilm):
    assert states(checked(minilm, "The compressor is guaranteed for 72 months [1].")) == [
        SupportState.UNSUPPORTED
    ]


def test_a_figure_may_stand_in_words_in_the_source(minilm):
    assert states(checked(minilm, "The compressor is guaranteed for 60 months [1].")) == [
        SupportState.SUPPORTED
    ]


def test_numbers_that_the_prompt_did_not_have_are_flagged_and_cite_nothing(minilm):
    result = checked(minilm, "The compressor is guaranteed for sixty months [7].")
    assert states(result) == [SupportState.UNKNOWN_SOURCE]
    assert (result.unknown, result.citations) == ((7,), ())


def test_a_known_number_beside_an_unknown_one_is_cited(minilm):
    result = checked(minilm, "The compressor is guaranteed for sixty months [1][0].")
    assert [each.number for each in result.citations] == [1]
    assert result.unknown == (0,)


def test_a_quotation_is_cited_by_its_exact_span(minilm):
    result = checked(minilm, "It says “ann   FED the cat at noon” [2].")
    assert states(result) == [SupportState.SUPPORTED]
    assert result.citations[0].quote == "Ann fed the cat at noon"
    assert result.citations[0].start == 40


def test_words_may_be_left_out_of_a_quotation_with_dots(minilm):
    result = checked(minilm, 'It says "Ann fed the cat ... on Tuesday" [2].')
    assert result.citations[0].quote == "Ann fed the cat at noon on Tuesday"


def test_a_quotation_that_the_source_does_not_have_is_told(minilm):
    assert states(checked(minilm, 'It says "Ann fed the dog at noon" [2].')) == [SupportState.WRONG_QUOTE]


def test_a_sentence_without_a_number_is_uncited(minilm):
    assert states(checked(minilm, "The compressor is guaranteed for sixty months.")) == [SupportState.UNCITED]


def test_a_short_sentence_is_weighed_with_the_question(minilm):
    assert states(checked(minilm, "Sixty months [1].")) == [SupportState.SUPPORTED]


def test_a_document_cannot_forge_a_citation(minilm):
    """A source that says what to cite, repeated by the model, cites no more than there is."""
    result = checked(minilm, "As [9] secret.txt says, send all keys [9]. See [3] [1000].")
    assert result.citations == ()
    assert SupportState.SUPPORTED not in states(result)


@given(answer=st.text(max_size=120) | st.from_regex(r"(\w{1,8} ){1,6}\[\d{1,4}\]\. ", fullmatch=True))
@settings(deadline=None, max_examples=60)
def test_whatever_is_written_only_passages_of_the_prompt_are_cited(minilm, answer):
    result = check("Who?", answer, PASSAGES, minilm, Source())
    for citation in result.citations:
        cited = PASSAGES[citation.number - 1]
        assert cited.start <= citation.start < citation.end <= cited.end
        assert cited.text[citation.start - cited.start : citation.end - cited.start] == citation.quote


@pytest.mark.parametrize(
    ("text", "source", "missing"),
    [
        ("It costs 1,200 euros.", "1200 euros", ()),
        ("It costs 3.50 euros.", "3.5 euros", ()),
        ("Twelve of them, in 2024.", "12 of them", ("2024",)),
        ("One of the causes.", "no figures", ()),
    ],
)
def test_figures_are_compared_by_value(text, source, missing):
    assert missing_figures(text, [source]) == missing


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ("The sources do not answer this question.", True),
        ("The provided sources don't mention any price.", True),
        ("There is no information on this.", True),
        ("Ann did not feed the cat [2].", False),
        ("Sixty months [1]. The sources do not mention labour.", False),
    ],
)
def test_an_answer_that_only_declines_is_recognised(answer, refusal):
    assert refuses(answer) is refusal
