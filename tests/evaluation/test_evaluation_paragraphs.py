"""Which paragraphs a chunk stands for."""

from ragstack.evaluation.paragraphs import Paragraphs
from ragstack.evaluation.spans import Span

TEXT = "first line here\n\nsecond line\nO\n2 is a gas\nlast one\n"


def span(quote):
    start = TEXT.index(quote)
    return Span("a", start, start + len(quote))


def paragraphs(*known):
    return Paragraphs.of_document("a", TEXT, known)


def test_every_line_is_a_paragraph_unless_the_data_set_says_otherwise():
    assert paragraphs().spans == tuple(
        span(line) for line in ("first line here", "second line", "O", "2 is a gas", "last one")
    )


def test_a_known_paragraph_of_several_lines_takes_their_place():
    known = span("O\n2 is a gas")

    found = paragraphs(known, Span("other", 0, 5)).spans

    assert found == (span("first line here"), span("second line"), known, span("last one"))


def test_a_chunk_stands_for_the_paragraph_that_it_lies_in():
    assert paragraphs().of_chunk(span("line here")) == [span("first line here")]


def test_a_chunk_stands_for_every_paragraph_that_it_holds_most_of_the_largest_first():
    chunk = span("second line\nO\n2 is a gas")

    assert paragraphs().of_chunk(chunk) == [span("second line"), span("2 is a gas"), span("O")]


def test_a_paragraph_that_a_chunk_only_touches_is_left_out():
    chunk = span("here\n\nsecond line")

    assert paragraphs().of_chunk(chunk) == [span("second line")]


def test_a_chunk_of_blanks_stands_for_nothing():
    assert paragraphs().of_chunk(span("\n\n")) == []
