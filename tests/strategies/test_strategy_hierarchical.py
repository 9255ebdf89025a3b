"""The hierarchy: summaries of documents lead to summaries of sections, and those to the text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_world import GrudgingCounter, QuarterCounter, WordCounter
from strategy_world import DocumentWorld, make_task, prose

from ragstack.errors import BudgetError
from ragstack.records import Filter
from ragstack.strategies.full import read_full
from ragstack.strategies.hierarchical import read_hierarchy
from ragstack.strategies.sections import LARGEST_SECTION, sections_of


def chapter(title: str, topic: str, sentences: int = 12) -> str:
    return f"# {title}\n\n{prose(sentences, topic)}\n\n"


def library() -> list[str]:
    texts = ["".join(chapter(f"Part {part}", f"topic{book}{part}") for part in range(4)) for book in range(6)]
    texts[4] += chapter("Sewing", "needle")
    return texts


def test_text_that_fits_one_prompt_is_read_as_full_context_reads_it():
    hierarchy, reader = make_task([prose(10)], window=1_000)
    full, _ = make_task([prose(10)], window=1_000)
    assert read_hierarchy(hierarchy).passages == read_full(full).passages
    assert reader.cards == []


def test_the_reader_goes_from_documents_to_sections_to_text():
    task, reader = make_task(library(), window=300)
    prompt = read_hierarchy(task)
    purposes = [each.purpose for each in prompt.reading.passes]
    assert purposes[0] == "summaries of documents"
    assert purposes[-2:] == ["summaries of sections", "answer"]
    assert [card for card in reader.cards[-1] if card.startswith("Note 5 > Sewing")]
    best = prompt.passages[0]
    assert best.path == "notes/5.txt"
    assert best.text.startswith("# Sewing")
    assert best.score == max(passage.score for passage in prompt.passages)


def test_a_summary_of_a_document_names_its_headings_and_its_commonest_words():
    task, reader = make_task(library(), window=300)
    read_hierarchy(task)
    card = next(card for cards in reader.cards for card in cards if card.startswith("Note 5"))
    assert "Part 0; Part 1; Part 2; Part 3; Sewing" in card
    assert "tells of the" in card


def test_every_prompt_keeps_the_budget_and_all_are_accounted_for():
    task, reader = make_task(library(), window=260)
    prompt = read_hierarchy(task)
    assert len(prompt.reading.passes) == len(reader.cards) + 1
    assert all(each.prompt_tokens <= 260 for each in prompt.reading.passes)
    assert prompt.reading.tokens_read == sum(each.prompt_tokens for each in prompt.reading.passes)
    for cards in reader.cards:
        assert sum(len(card.split()) + 1 for card in cards) <= task.budget
    assert all(each.spans == () for each in prompt.reading.passes[:-1])
    assert len(prompt.reading.passes[-1].spans) == len(prompt.passages)


@settings(max_examples=50, deadline=None)
@given(window=st.integers(60, 400), counter=st.sampled_from([WordCounter, QuarterCounter, GrudgingCounter]))
def test_no_prompt_exceeds_its_budget_whatever_counts_the_tokens(window, counter):
    task, reader = make_task(library(), window=window, counter=counter())
    try:
        prompt = read_hierarchy(task)
    except BudgetError:
        return
    assert all(each.prompt_tokens <= window for each in prompt.reading.passes)
    for cards in reader.cards:
        shown = "".join(f"[{number}] {card}\n\n" for number, card in enumerate(cards, start=1))
        assert counter().count(shown) <= task.budget
    assert counter().count(task.frame.render(prompt.passages)) <= window


def test_passages_are_exact_slices_of_their_documents():
    texts = library()
    task, _ = make_task(texts, window=300)
    for passage in read_hierarchy(task).passages:
        assert passage.text == texts[passage.document_id - 1][passage.start : passage.end]


def test_reading_summaries_takes_fewer_tokens_than_reading_the_text():
    texts = [text * 3 for text in library()]
    task, _ = make_task(texts, window=300)
    words = sum(len(text.split()) for text in texts)
    assert read_hierarchy(task).reading.tokens_read < words / 2


def test_no_room_for_a_summary_is_an_error():
    task, _ = make_task([chapter("One", "river", 40)], window=12)
    with pytest.raises(BudgetError, match="no room"):
        read_hierarchy(task)


bodies = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["", prose(1), prose(15), prose(120), "x" * 6_000])),
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(opening=st.sampled_from(["", prose(2), prose(200)]), parts=bodies)
def test_sections_hold_all_text_once_and_none_is_too_long(opening, parts):
    text = opening + "".join(
        f"\n{'#' * level} Title {place}\n\n{body}\n" for place, (level, body) in enumerate(parts)
    )
    world = DocumentWorld({1: text})
    (document,) = world.selected_documents(Filter())
    sections = list(sections_of(document, world))
    assert "".join(text[each.start : each.end] for each in sections) == text
    assert all(0 < each.end - each.start <= LARGEST_SECTION for each in sections)
    assert [each.start for each in sections] == sorted(each.start for each in sections)


def test_a_section_stands_under_the_headings_that_enclose_it():
    text = chapter("Guide", "river") + "## Setup\n\n" + prose(12) + "\n\n# Notes\n\n" + prose(12)
    world = DocumentWorld({1: text})
    (document,) = world.selected_documents(Filter())
    assert [each.headings for each in sections_of(document, world)] == [
        ("Guide",),
        ("Guide", "Setup"),
        ("Notes",),
    ]
