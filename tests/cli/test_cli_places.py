"""Where a span is, in the words of the user."""

from __future__ import annotations

from ragstack.cli.places import place, source
from ragstack.records import Citation, Hit, Location, Passage, StoredChunk

PAGE_3 = Location(landmark_kind="page", first_landmark="3", last_landmark="3")


def lines(first, last=None):
    return Location(first_line=first, last_line=last or first)


def passage(path="a.md", headings=("First",), also_in=()):
    return Passage(1, path, None, 0, 1_000, "x" * 1_000, 100, 1.0, headings=headings, also_in=also_in)


def cite(location, start=0, of=None):
    return Citation(1, of or passage(), start, start + 10, "x" * 10, location)


def hit(start, end, headings):
    return Hit(StoredChunk(start, 1, 0, start, end, "x", 1, headings, "a.md", None, "text/plain", ""), 1.0)


def test_a_place_names_path_page_lines_and_headings_as_far_as_known():
    assert place("a.pdf", PAGE_3, ("Care", "Cleaning")) == "a.pdf, page 3 (Care > Cleaning)"
    assert place("a.md", lines(4, 9), ()) == "a.md, lines 4-9"
    assert place("a.html", Location(), ("Care",)) == "a.html (Care)"
    assert place("a.txt", Location(), ()) == "a.txt"


def test_a_place_cannot_steer_a_terminal():
    assert place("a\nb.md", Location(), ("\x1b[2Jx",)) == r"a\nb.md (\x1b[2Jx)"


def test_the_lines_of_several_quotes_are_one_phrase():
    citations = [cite(lines(9)), cite(lines(3)), cite(lines(8)), cite(lines(10, 11)), cite(lines(3))]
    assert source(citations, []) == "a.md, lines 3, 8-11 (First)"


def test_one_page_that_is_quoted_twice_is_named_once():
    assert source([cite(PAGE_3), cite(PAGE_3, 50)], []) == "a.md, page 3 (First)"


def test_each_quote_is_placed_in_the_section_of_its_chunk_not_of_the_whole_passage():
    hits = [hit(0, 300, ("First",)), hit(200, 500, ("Second",))]
    citations = [cite(lines(9), 400), cite(lines(2), 10)]
    assert source(citations, hits) == "a.md, line 2 (First); line 9 (Second)"


def test_a_quote_in_two_overlapping_chunks_is_placed_in_the_later_one():
    hits = [hit(0, 300, ("First",)), hit(200, 500, ("Second",))]
    assert source([cite(lines(5), 250)], hits) == "a.md, line 5 (Second)"


def test_places_that_hold_the_same_text_are_named_too():
    of = passage(also_in=("copy.md, line 2", "b\x1b.md"))
    assert source([cite(lines(1), of=of)], []) == r"a.md, line 1 (First); also in copy.md, line 2, b\x1b.md"


def row(first, last=None):
    return Location(landmark_kind="row", first_landmark=first, last_landmark=last or first)


def test_neighbouring_rows_and_pages_are_one_range():
    citations = [cite(row("Stock!2"), 1), cite(row("Stock!3"), 2), cite(row("Stock!4", "Stock!6"), 3)]
    assert source(citations, []) == "a.md, rows Stock!2-6 (First)"
    apart = [cite(row("2"), 1), cite(row("4"), 2), cite(PAGE_3, 3)]
    assert source(apart, []) == "a.md, row 2, row 4, page 3 (First)"


def test_rows_of_two_sheets_are_no_range():
    citations = [cite(row("Ropes!2"), 1), cite(row("Lamps!3"), 2)]
    assert source(citations, []) == "a.md, row Ropes!2, row Lamps!3 (First)"
    assert str(row("Ropes!9", "Lamps!1")) == "rows Ropes!9-Lamps!1"


def test_the_name_of_a_sheet_cannot_steer_a_terminal():
    assert place("a.xlsx", row("\x1b[2J!1"), ()) == r"a.xlsx, row \x1b[2J!1"
