"""Full context: all text in the order of the documents, up to the budget, and what was left out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_world import GrudgingCounter, QuarterCounter, WordCounter
from strategy_world import make_task, prose

from ragstack.errors import BudgetError
from ragstack.records import Filter
from ragstack.strategies.full import read_full
from ragstack.strategies.hierarchical import read_hierarchy
from ragstack.strategies.sliding import read_windows


def test_text_that_fits_is_read_whole_and_nothing_is_left_out():
    texts = [prose(10), prose(5, "mountain")]
    task, _ = make_task(texts, window=1_000)
    prompt = read_full(task)
    assert [passage.text for passage in prompt.passages] == [text.strip() for text in texts]
    assert prompt.reading.omitted == ()
    assert prompt.warnings == ()
    assert prompt.reading.documents == 2


def test_documents_come_in_order_until_the_budget_ends_and_the_rest_is_named():
    texts = [prose(20, topic) for topic in ("river", "mountain", "desert")]
    task, _ = make_task(texts, window=250)
    prompt = read_full(task)
    assert [passage.path for passage in prompt.passages] == ["notes/1.txt", "notes/2.txt"]
    first, second = prompt.passages
    assert first.text == texts[0].strip()
    assert texts[1].startswith(second.text)
    assert second.text.endswith(".")
    omitted = {each.path: (each.read, each.characters) for each in prompt.reading.omitted}
    assert set(omitted) == {"notes/2.txt", "notes/3.txt"}
    assert omitted["notes/3.txt"] == (0, len(texts[2]))
    assert len(second.text) <= omitted["notes/2.txt"][0] < len(texts[1])
    (warning,) = prompt.warnings
    missing = sum(characters - read for read, characters in omitted.values())
    assert f"{missing:,} characters of 2 of 3 documents did not fit" in warning
    assert "`notes/3.txt`" in warning
    assert warning in prompt.ledger.notes


def test_only_selected_documents_are_read():
    task, _ = make_task([prose(3), prose(3, "mountain")], window=500, where=Filter(paths=("notes/2*",)))
    prompt = read_full(task)
    assert [passage.path for passage in prompt.passages] == ["notes/2.txt"]
    assert prompt.reading.documents == 1


def test_the_prompt_is_counted_whole_and_accounted_for():
    task, _ = make_task([prose(50)], window=200)
    prompt = read_full(task)
    rendered = WordCounter().count(task.frame.render(prompt.passages))
    (last,) = prompt.reading.passes
    assert last.prompt_tokens == rendered == prompt.ledger.prompt_tokens
    assert prompt.reading.tokens_read == prompt.reading.largest_prompt == rendered
    assert rendered <= 200


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    window=st.integers(30, 400),
    counter=st.sampled_from([WordCounter, QuarterCounter, GrudgingCounter]),
)
def test_no_prompt_exceeds_its_budget_and_every_passage_is_an_exact_slice(sizes, window, counter):
    texts = [prose(size, f"topic{size}") + "end" for size in sizes]
    task, _ = make_task(texts, window=window, counter=counter())
    try:
        prompt = read_full(task)
    except BudgetError:
        return
    assert counter().count(task.frame.render(prompt.passages)) <= window
    for passage in prompt.passages:
        text = texts[passage.document_id - 1]
        assert passage.text == text[passage.start : passage.end]
    read = {each.path: each.read for each in prompt.reading.omitted}
    for number, text in enumerate(texts, start=1):
        assert read.get(f"notes/{number}.txt", len(text)) <= len(text)


def test_a_sentence_too_long_for_the_prompt_is_read_in_parts():
    task, _ = make_task(["word " * 500], window=60)
    (passage,) = read_full(task).passages
    assert 20 < len(passage.text.split()) <= 60


def test_no_room_for_one_sentence_is_an_error_with_its_cause():
    task, _ = make_task([prose(3)], window=6)
    with pytest.raises(BudgetError, match="no room: the window"):
        read_full(task)


@pytest.mark.parametrize("read", [read_full, read_windows, read_hierarchy])
def test_documents_of_blanks_or_of_nothing_take_no_room(read):
    task, _ = make_task(["", "\n" * 40_000, prose(12), " \n" * 30_000], window=60)
    prompt = read(task)
    assert {passage.path for passage in prompt.passages} <= {"notes/3.txt"}
    empty, _ = make_task(["", "\n\n"], window=60)
    assert read(empty).passages == ()


def test_without_documents_the_prompt_is_empty():
    task, _ = make_task([prose(3)], window=100, where=Filter(paths=("elsewhere*",)))
    prompt = read_full(task)
    assert prompt.passages == ()
    assert prompt.reading.documents == 0
