"""Spans of packed passages are located without the store, exactly as the store would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategy_world import DocumentWorld

from ragstack.answering.passage_places import PassagePlaces
from ragstack.errors import NotInStoreError
from ragstack.records import Element, ElementKind, Landmark, Location, Passage

LINES = st.lists(st.sampled_from(["", "a b", "# One", "## Two", "### Three", "word word word"]), max_size=12)


class PagedWorld(DocumentWorld):
    """Documents with pages, whose places are found in the whole text, as a store finds them."""

    def __init__(self, texts, pages, *, lines_are_original):
        super().__init__(texts)
        self.pages = pages
        self.lines_are_original = lines_are_original

    def landmarks(self, document_id, start, end):
        first = [page for page in self.pages if page.start <= start][-1:]
        return (*first, *(page for page in self.pages if start < page.start < end))

    def locate(self, document_id, start, end):
        text, last = self.texts[document_id], max(start, end - 1)
        pages = [([page for page in self.pages if page.start <= at] or [None])[-1] for at in (start, last)]
        lines = [text.count("\n", 0, at) + 1 for at in (start, last)]
        headings: list[Element] = []
        for element in self.elements(document_id):
            if element.kind is ElementKind.HEADING and element.start <= start:
                headings = [*(each for each in headings if each.level < element.level), element]
        return Location(
            landmark_kind=pages[0].kind if pages[0] else None,
            first_landmark=pages[0].label if pages[0] else None,
            last_landmark=pages[1].label if pages[1] else None,
            first_line=lines[0] if self.lines_are_original else None,
            last_line=lines[1] if self.lines_are_original else None,
            headings=tuple(each.title for each in headings),
        )


def passage(world, start, end):
    location = world.locate(1, start, end)
    text = world.texts[1][start:end]
    return Passage(1, "a.md", None, start, end, text, 1, 1.0, location=location)


@given(lines=LINES, data=st.data(), lines_are_original=st.booleans())
def test_every_span_of_a_passage_is_located_as_the_store_locates_it(lines, data, lines_are_original):
    text = "\n".join(["x", *lines])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=4)))
    pages = [Landmark(at, "page", str(number)) for number, at in enumerate(cuts, start=1)]
    world = PagedWorld({1: text}, pages, lines_are_original=lines_are_original)
    first = data.draw(st.integers(0, len(text) - 1))
    last = data.draw(st.integers(first + 1, len(text)))
    start = data.draw(st.integers(first, last - 1))
    end = data.draw(st.integers(start + 1, last))
    places = PassagePlaces.of([passage(world, first, last)], world)
    assert places.locate(1, start, end) == world.locate(1, start, end)
    assert places.read_text(1, start, end) == text[start:end]


def test_what_no_passage_holds_is_not_guessed():
    world = PagedWorld({1: "one two three"}, [], lines_are_original=True)
    places = PassagePlaces.of([passage(world, 0, 3), passage(world, 4, 7)], world)
    for span in ((1, 2, 6), (1, 8, 9), (2, 0, 3)):
        with pytest.raises(NotInStoreError):
            places.locate(*span)
