"""A sliding window: every character is read, evidence is carried to the last prompt, memory stays bounded."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_world import GrudgingCounter, QuarterCounter, WordCounter
from strategy_world import DocumentWorld, Reply, make_task, prose

from ragstack.errors import BudgetError
from ragstack.records import Location
from ragstack.strategies.full import read_full
from ragstack.strategies.sliding import read_windows


def covered(prompts, document_id):
    return {
        offset
        for passages in prompts
        for passage in passages
        if passage.document_id == document_id
        for offset in range(passage.start, passage.end)
    }


def letters(text):
    return {offset for offset, letter in enumerate(text) if not letter.isspace()}


def test_text_that_fits_one_window_is_read_as_full_context_reads_it():
    texts = [prose(10), prose(5)]
    sliding, reader = make_task(texts, window=1_000)
    full, _ = make_task(texts, window=1_000)
    assert read_windows(sliding).passages == read_full(full).passages
    assert reader.prompts == []


def test_all_text_is_read_window_by_window():
    texts = [prose(40), prose(1), prose(70, "mountain")]
    task, reader = make_task(texts, window=150)
    prompt = read_windows(task)
    for number, text in enumerate(texts, start=1):
        assert covered(reader.prompts, number) >= letters(text)
    assert prompt.reading.documents == 3
    assert [each.purpose for each in prompt.reading.passes[:2]] == ["window 1", "window 2"]


def test_windows_of_one_document_overlap_by_a_little():
    text = prose(80)
    task, reader = make_task([text], window=200)
    read_windows(task)
    windows = [passages[0] for passages in reader.prompts]
    assert len(windows) >= 4
    for one, other in pairwise(windows):
        assert one.start < other.start < one.end < other.end
        assert one.end - other.start <= 0.2 * (one.end - one.start)


def test_what_partial_answers_cite_makes_the_last_prompt_with_its_surroundings():
    text = prose(30) + "Here the needle lies. " + prose(60, "mountain") + "Another needle. " + prose(5)
    task, _ = make_task([text], window=150)
    prompt = read_windows(task)
    assert len(prompt.passages) == 2
    first, second = prompt.passages
    assert "Sentence 29 tells of the river and more. Here the needle lies. Sentence 0" in first.text
    assert "Another needle." in second.text
    for passage in prompt.passages:
        assert passage.text == text[passage.start : passage.end]
        assert len(passage.text) < 200
    assert prompt.reading.passes[-1].purpose == "answer"


def test_evidence_that_outgrows_a_prompt_is_read_again_until_it_fits():
    text = "".join(f"Needle needle {number} stands in a row. " for number in range(120))
    task, reader = make_task([text], window=120)
    prompt = read_windows(task)
    assert any(each.purpose == "evidence" for each in prompt.reading.passes)
    assert prompt.warnings  # this reader cites everything, so it cannot be reduced, and that is said
    assert all(WordCounter().count(task.frame.render(passages)) <= 120 for passages in reader.prompts)


def test_a_reader_that_finds_nothing_leaves_an_empty_prompt():
    task, reader = make_task([prose(80)], window=150, word="absent")
    prompt = read_windows(task)
    assert prompt.passages == ()
    assert len(prompt.reading.passes) == len(reader.prompts) > 3


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    window=st.integers(40, 300),
    counter=st.sampled_from([WordCounter, QuarterCounter, GrudgingCounter]),
)
def test_nothing_is_skipped_and_no_window_exceeds_its_budget(sizes, window, counter):
    texts = [prose(size, f"topic{size}") + "The needle. " for size in sizes]
    task, reader = make_task(texts, window=window, counter=counter())
    try:
        prompt = read_windows(task)
    except BudgetError:
        return
    prompts = [*reader.prompts, prompt.passages]
    assert all(counter().count(task.frame.render(passages)) <= window for passages in prompts)
    for number, text in enumerate(texts, start=1):
        assert covered(prompts, number) >= letters(text)


def test_no_room_for_one_sentence_is_an_error():
    task, _ = make_task([prose(3)], window=6)
    with pytest.raises(BudgetError, match="no room"):
        read_windows(task)


SENTENCE = "Sentence of the endless text tells of the river. "


@dataclass
class EndlessWorld(DocumentWorld):
    """Documents whose text is made when it is read, so that only what is kept of it takes memory."""

    def selected_documents(self, where):
        return [replace(each, characters=40_000) for each in super().selected_documents(where)]

    def read_text(self, document_id, start, end):
        first = start // len(SENTENCE)
        text = SENTENCE * (1 + end // len(SENTENCE) - first)
        return text[start - first * len(SENTENCE) : end - first * len(SENTENCE)]

    def locate(self, document_id, start, end):
        return Location()


class CountingReader:
    """Finds nothing and remembers nothing."""

    def answer(self, passages):
        return Reply(found=False)


class Words:
    """A counter that remembers nothing."""

    def count(self, text):
        return len(text.split())

    def count_many(self, texts):
        return [self.count(text) for text in texts]


def peak_of_reading(documents: int) -> int:
    task, _ = make_task([""] * documents, window=400, counter=Words())
    task = replace(task, source=EndlessWorld(task.source.texts), reader=CountingReader())
    tracemalloc.start()
    try:
        prompt = read_windows(task)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(prompt.reading.passes) > 15 * documents
    return peak


def test_memory_does_not_grow_with_the_text():
    few, many = peak_of_reading(5), peak_of_reading(40)
    assert many - few < 35 * 40_000 / 2  # the account of each window, and no text
    assert many < 2**21
