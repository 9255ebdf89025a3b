"""What the packer does with hits: merging, charging, skipping, trimming, citing copies, ordering."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from packing_world import TextWorld, WordCounter

from ragstack.answering.evidence import lexical_relevance
from ragstack.context.frames import PrintedFrame
from ragstack.context.packing import Packing, pack
from ragstack.context.passages import arrange
from ragstack.context.planning import SHORTEST_PIECE
from ragstack.records import Decision, DropReason, Hit
from ragstack.records import Passage as Packed

FRAME = PrintedFrame("Who fed the cat")
HEADER = 4  # words of "[1] notes/1.txt, line 3"
PROSE = (
    "Ann fed the cat on Monday. Ben fed the dog on Tuesday. Cleo walked home alone.\n\n"
    "Dora painted the fence green. Emil slept until noon again.\n\n"
    "Fay wrote a long letter. Gus read it twice."
)


def words_of(text: str) -> int:
    return len(text.split())


def packed(world: TextWorld, hits: list[Hit], budget: int, **options: object) -> Packing:
    return pack(hits, budget, source=world, frame=FRAME, counter=WordCounter(), **options)


def decision(packing: Packing, chunk_id: int) -> Decision:
    return next(each for each in packing.decisions if each.chunk_id == chunk_id)


@pytest.fixture
def world() -> TextWorld:
    return TextWorld({1: PROSE, 2: "Nothing here is about animals. It is about stones."})


def test_overlapping_windows_become_one_passage_and_are_paid_once(world: TextWorld) -> None:
    first = world.hit_on(1, "Ann fed the cat on Monday. Ben fed the dog on Tuesday.", 1.0, 1)
    second = world.hit_on(1, "Ben fed the dog on Tuesday. Cleo walked home alone.", 0.9, 2)
    packing = packed(world, [first, second], 100)
    (passage,) = packing.passages
    assert passage.text == PROSE[: PROSE.index("\n")]
    assert passage.chunk_ids == (1, 2)
    assert decision(packing, 1).marginal_tokens == HEADER + 12
    assert decision(packing, 2).marginal_tokens == 4
    assert packing.tokens == HEADER + 16 == passage.tokens


def test_windows_with_only_blanks_between_touch(world: TextWorld) -> None:
    first = world.hit_on(1, "Cleo walked home alone.", 1.0, 1)
    second = world.hit_on(1, "Dora painted the fence green.", 0.9, 2)
    packing = packed(world, [first, second], 100)
    assert [passage.text for passage in packing.passages] == [
        "Cleo walked home alone.\n\nDora painted the fence green."
    ]
    assert decision(packing, 2).marginal_tokens == 5
    assert decision(packing, 2).reason == "extends [1]"


def test_windows_with_text_between_stay_apart_and_pay_a_header_each(world: TextWorld) -> None:
    first = world.hit_on(1, "Ann fed the cat on Monday.", 1.0, 1)
    second = world.hit_on(1, "Cleo walked home alone.", 0.9, 2)
    packing = packed(world, [first, second], 100)
    assert len(packing.passages) == 2
    assert decision(packing, 2).marginal_tokens == HEADER + 4
    assert decision(packing, 2).reason == "begins [2]"


def test_sentences_are_weighed_hit_by_hit_the_best_first(world: TextWorld) -> None:
    asked: list[str] = []

    def relevance(sentences: Sequence[str]) -> list[float]:
        asked.extend(sentences)
        return [0.0] * len(sentences)

    hits = [world.hit_on(2, "It is about stones.", 1.0, 1), world.hit_on(1, PROSE[:54], 0.9, 2)]
    packed(world, hits, 100, relevance=relevance)
    assert [sentence.strip() for sentence in asked] == [
        "It is about stones.", "Ann fed the cat on Monday.", "Ben fed the dog on Tuesday.",
    ]  # fmt: skip


def test_a_window_that_joins_two_passages_gives_a_header_back(world: TextWorld) -> None:
    outer = [world.hit_on(1, "Ann fed the cat on Monday.", 1.0, 1), world.hit_on(1, "Cleo walked", 0.9, 2)]
    between = world.hit_on(1, "Ben fed the dog on Tuesday.", 0.8, 3)
    packing = packed(world, [*outer, between], 100)
    assert len(packing.passages) == 1
    assert decision(packing, 3).marginal_tokens == 6 - HEADER


def test_a_misfit_is_passed_over_for_one_that_fits(world: TextWorld) -> None:
    best = world.hit_on(1, "Ann fed the cat on Monday.", 1.0, 1)
    long = world.hit_on(2, "Nothing here is about animals.", 0.9, 2)
    short = world.hit_on(1, "Gus read it twice.", 0.8, 3)
    packing = packed(world, [best, long, short], HEADER + 6 + HEADER + 4)
    assert [each.kept for each in packing.decisions] == [True, False, True]
    assert decision(packing, 2).reason == DropReason.NO_ROOM
    assert decision(packing, 2).marginal_tokens == HEADER + 5


def test_a_window_that_is_too_large_is_trimmed_to_the_sentences_it_begins_with(world: TextWorld) -> None:
    packing = packed(world, [world.hit(1, 0, len(PROSE), 1.0, 1)], HEADER + 15)
    (passage,) = packing.passages
    assert passage.text == "Ann fed the cat on Monday. Ben fed the dog on Tuesday."
    assert (passage.start, passage.end) == (0, len(passage.text))
    assert packing.decisions[0].kept
    assert packing.decisions[0].reason == f"trimmed to 12 of {len(PROSE.split())} tokens, in [1]"


def test_trimming_keeps_the_sentences_that_matter_when_they_are_known(world: TextWorld) -> None:
    relevance = lexical_relevance("Who read the letter that Fay wrote?")
    packing = packed(world, [world.hit(1, 0, len(PROSE), 1.0, 1)], HEADER + 10, relevance=relevance)
    (passage,) = packing.passages
    assert passage.text == "Fay wrote a long letter. Gus read it twice."
    assert PROSE[passage.start : passage.end] == passage.text


LONG_QUESTION = "Who repaired the bell of the harbour tower?"
ANSWERING = (
    "The bell of the harbour tower was repaired by Ida Holm in the spring, with bronze from the old one."
)


def long_window(subject: str, *, answers: bool) -> str:
    """Fifteen sentences of twelve words, of which one in the middle may answer `LONG_QUESTION`."""
    sentences = [
        f"{subject} saw number {number} of the grey boats leave the quay early." for number in range(15)
    ]
    if answers:
        sentences[7] = ANSWERING
    return " ".join(sentences)


def test_of_a_window_that_ranks_low_the_sentences_about_the_question_are_taken() -> None:
    texts = {1: long_window("Ann", answers=False), 2: long_window("Ben", answers=True)}
    world = TextWorld(texts)
    hits = [world.hit(1, 0, len(texts[1]), 1.0, 1), world.hit(2, 0, len(texts[2]), 0.95, 2)]
    packing = packed(world, hits, 2 * HEADER + 130, relevance=lexical_relevance(LONG_QUESTION))
    cited = next(passage for passage in packing.passages if passage.document_id == 2)
    assert ANSWERING in cited.text
    assert texts[2][cited.start : cited.end] == cited.text
    assert cited.chunk_ids == (2,)
    kept = decision(packing, 2)
    assert kept.kept
    assert kept.reason.startswith("trimmed to ")
    assert sum(each.marginal_tokens for each in packing.decisions if each.kept) == packing.tokens


def test_what_is_taken_of_a_window_is_long_enough_to_be_understood() -> None:
    texts = {1: long_window("Ann", answers=False), 2: long_window("Ben", answers=True)}
    world = TextWorld(texts)
    hits = [world.hit(1, 0, len(texts[1]), 1.0, 1), world.hit(2, 0, len(texts[2]), 0.95, 2)]
    budget = 2 * HEADER + len(texts[1].split()) + SHORTEST_PIECE + 10
    packing = packed(world, hits, budget, relevance=lexical_relevance(LONG_QUESTION))
    assert [passage.document_id for passage in packing.passages if ANSWERING in passage.text] == [2]
    assert all(len(passage.text.split()) >= SHORTEST_PIECE for passage in packing.passages)


def test_nothing_is_cut_out_of_windows_when_nothing_is_known_of_their_sentences() -> None:
    texts = {1: long_window("Ann", answers=False), 2: long_window("Ben", answers=True)}
    world = TextWorld(texts)
    hits = [world.hit(1, 0, len(texts[1]), 1.0, 1), world.hit(2, 0, len(texts[2]), 0.95, 2)]
    packing = packed(world, hits, HEADER + len(texts[1].split()))
    assert [passage.text for passage in packing.passages] == [texts[1]]


def test_trimming_continues_a_passage_rather_than_beginning_one(world: TextWorld) -> None:
    kept = world.hit_on(1, "Emil slept until noon again.", 1.0, 1)
    before = world.hit_on(
        1, "Ben fed the dog on Tuesday. Cleo walked home alone.\n\nDora painted the fence green.", 0.9, 2
    )
    packing = packed(world, [kept, before], HEADER + 5 + 9)
    (passage,) = packing.passages
    assert passage.text.startswith("Cleo walked home alone.")
    assert passage.text.endswith("Emil slept until noon again.")
    assert decision(packing, 2).reason == "trimmed to 9 of 15 tokens, in [1]"


def test_one_sentence_that_fits_is_packed_whatever_it_costs(world: TextWorld) -> None:
    hits = [world.hit(1, 0, len(PROSE), 1.0, 1), world.hit(2, 0, 49, 0.2, 2)]
    packing = packed(world, hits, HEADER + 4, minimum_relevance=1.0)
    assert [passage.text for passage in packing.passages] == ["Cleo walked home alone."]


def test_nothing_is_packed_when_no_sentence_fits(world: TextWorld) -> None:
    packing = packed(world, [world.hit(1, 0, len(PROSE), 1.0, 1)], HEADER + 3)
    assert packing.passages == ()
    assert packing.tokens == 0
    assert [each.reason for each in packing.decisions] == [DropReason.NO_ROOM]


def test_what_is_hardly_relevant_is_not_bought_even_when_there_is_room(world: TextWorld) -> None:
    best = world.hit_on(1, "Ann fed the cat on Monday.", 1.0, 1)
    poor = world.hit_on(2, "Nothing here is about animals.", 0.01, 2)
    packing = packed(world, [best, poor], 1_000)
    assert decision(packing, 2).reason == DropReason.NOT_WORTH_ITS_TOKENS
    assert decision(packing, 2).marginal_tokens == HEADER + 5
    assert decision(packed(world, [best, poor], 1_000, minimum_relevance=0.0), 2).kept


def test_a_hit_inside_what_is_packed_already_costs_nothing_and_is_named(world: TextWorld) -> None:
    whole = world.hit_on(1, PROSE[: PROSE.index("\n")], 1.0, 1)
    inside = world.hit_on(1, "Ben fed the dog on Tuesday.", 0.9, 2)
    packing = packed(world, [whole, inside], 100)
    assert decision(packing, 2) == Decision(
        2, "notes/1.txt", inside.chunk.start, inside.chunk.end, 0.9, 0, False, DropReason.ALREADY_COVERED
    )
    assert packing.passages[0].chunk_ids == (1, 2)


def test_the_same_text_in_two_documents_is_paid_once_and_cited_twice() -> None:
    world = TextWorld({1: "Ann fed the cat.", 2: "Intro line.\nANN  fed the\tcat.", 3: "Ben fed the dog."})
    hits = [
        world.hit(1, 0, 16, 1.0, 1),
        world.hit_on(2, "ANN  fed the\tcat.", 1.0, 2),
        world.hit(3, 0, 16, 0.8, 3),
    ]
    packing = packed(world, hits, 100)
    assert [passage.chunk_ids for passage in packing.passages] == [(1,), (3,)]
    assert packing.passages[0].also_in == ("notes/2.txt, line 2",)
    assert decision(packing, 2).reason == DropReason.DUPLICATE
    assert decision(packing, 2).marginal_tokens == 0


def test_a_copied_document_is_represented_by_one_of_its_copies_so_that_windows_merge() -> None:
    text = "Ann fed the cat. Ben fed the dog. Cleo walked home."
    world = TextWorld({1: text, 2: text})
    pieces = ["Ann fed the cat. Ben fed the dog.", "Ben fed the dog. Cleo walked home."]
    hits = [
        world.hit_on(1, pieces[0], 1.0, 1),
        world.hit_on(2, pieces[0], 1.0, 2),
        world.hit_on(2, pieces[1], 0.9, 3),
        world.hit_on(1, pieces[1], 0.9, 4),
    ]
    packing = packed(world, hits, 100)
    assert [(passage.document_id, passage.text) for passage in packing.passages] == [(1, text)]
    assert packing.passages[0].also_in == ("notes/2.txt, line 1",)
    assert [each.reason for each in packing.decisions] == [
        "begins [1]", DropReason.DUPLICATE, DropReason.DUPLICATE, "extends [1]",
    ]  # fmt: skip


def test_a_hit_given_twice_is_packed_once() -> None:
    world = TextWorld({1: "Ann fed the cat."})
    hit = world.hit(1, 0, 16, 1.0, 1)
    packing = packed(world, [hit, hit], 100)
    assert [passage.also_in for passage in packing.passages] == [()]
    assert [each.kept for each in packing.decisions] == [True, False]


def test_passages_come_best_first_and_text_in_document_order(world: TextWorld) -> None:
    hits = [
        world.hit_on(2, "It is about stones.", 1.0, 1),
        world.hit_on(1, "Gus read it twice.", 0.9, 2),
        world.hit_on(1, "Fay wrote a long letter.", 0.8, 3),
        world.hit_on(1, "Ann fed the cat on Monday.", 0.7, 4),
    ]
    packing = packed(world, hits, 100)
    assert [passage.text for passage in packing.passages] == [
        "It is about stones.", "Fay wrote a long letter. Gus read it twice.", "Ann fed the cat on Monday.",
    ]  # fmt: skip
    assert [passage.score for passage in packing.passages] == [1.0, 0.9, 0.7]


def test_in_a_long_prompt_the_best_passages_stand_at_the_edges() -> None:
    ranked = [Packed(1, "a", None, n, n + 1, "x", 1, score=1.0 / (n + 1)) for n in range(5)]
    assert arrange(ranked, tokens=4_096) == ranked
    assert [passage.start for passage in arrange(ranked, tokens=4_097)] == [0, 2, 4, 3, 1]


def test_a_passage_carries_place_headings_and_hash(world: TextWorld) -> None:
    start = PROSE.index("Dora")
    hit = world.hit(1, start, start + 29, 0.7, 5, headings=("Home", "Fences"))
    (passage,) = packed(world, [hit], 100).passages
    assert (passage.path, passage.title, passage.content_hash) == ("notes/1.txt", "Note 1", "hash-1")
    assert passage.headings == ("Home", "Fences")
    assert str(passage.location) == "line 3"
    assert (passage.start, passage.end) == (start, start + 29)


def test_no_hits_make_an_empty_packing(world: TextWorld) -> None:
    assert packed(world, [], 100) == Packing((), (), 0)


def test_scores_that_are_not_above_zero_rank_by_their_order(world: TextWorld) -> None:
    hits = [world.hit_on(1, "Ann fed the cat on Monday.", -1.0, 1), world.hit_on(1, "Cleo walked", -2.0, 2)]
    packing = packed(world, hits, HEADER + 6)
    assert [each.kept for each in packing.decisions] == [True, False]


def test_two_hundred_hits_are_counted_in_a_handful_of_batches() -> None:
    text = " ".join(f"Sentence {number} says what number {number} is about." for number in range(1_200))
    world = TextWorld({1: text})
    hits = [world.hit(1, 200 * n, 200 * n + 300, 1 / (n + 1), n) for n in range(200)]
    counter = WordCounter()
    packing = pack(hits, 2_000, source=world, frame=FRAME, counter=counter)
    assert counter.calls <= 6
    assert sum(map(words_of, counter.texts)) < 4 * words_of(text)
    assert len(world.reads) <= len(packing.passages) + 2
