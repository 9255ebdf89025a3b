"""Two versions of a text: what they share is paid for once and cited twice, what differs is shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from packing_world import TextWorld, WordCounter

from ragstack.answering.evidence import lexical_relevance
from ragstack.context.duplicates import normalised
from ragstack.context.frames import PrintedFrame
from ragstack.context.packing import Packing, pack
from ragstack.records import DropReason, Hit

QUESTION = "How long is the guarantee of the pump"
OLD = (
    "The pump is delivered with a hose and two clamps. It stands level on four feet. "
    "The guarantee of the pump is two years. It begins on the day of delivery. "
    "Damage by frost is excluded from it."
)
NEW = OLD.replace("two years", "three years")
OTHER = "The guarantee of the boiler covers its tank. Call the desk before you send it back."


def packed(world: TextWorld, hits: Sequence[Hit], budget: int = 200) -> Packing:
    return pack(
        hits,
        budget,
        source=world,
        frame=PrintedFrame(QUESTION),
        counter=WordCounter(),
        relevance=lexical_relevance(QUESTION),
    )


def whole(world: TextWorld, document_id: int, score: float) -> Hit:
    return world.hit(document_id, 0, len(world.texts[document_id]), score, document_id)


def test_of_a_second_version_only_the_sentence_that_differs_is_in_the_prompt() -> None:
    world = TextWorld({1: NEW, 2: OLD})
    packing = packed(world, [whole(world, 1, 1.0), whole(world, 2, 0.99)])
    assert [passage.text for passage in packing.passages] == [NEW, "The guarantee of the pump is two years."]
    assert [passage.document_id for passage in packing.passages] == [1, 2]
    assert packing.decisions[1].reason == "trimmed to 8 of 38 tokens, in [2]"


def test_a_passage_names_the_other_version_as_nearly_the_same() -> None:
    world = TextWorld({1: NEW, 2: f"Version of last year.\n{OLD}"})
    packing = packed(world, [whole(world, 1, 1.0), world.hit_on(2, OLD, 0.99, 2)])
    assert packing.passages[0].also_in == ("notes/2.txt, line 2 (nearly the same)",)
    assert packing.passages[1].also_in == ()


def test_three_versions_are_cited_with_one_passage() -> None:
    texts = {1: NEW, 2: OLD, 3: NEW.replace("level", "upright")}
    world = TextWorld(texts)
    packing = packed(world, [whole(world, each, 1.0 - each / 100) for each in texts])
    assert packing.passages[0].also_in == (
        "notes/2.txt, line 1 (nearly the same)",
        "notes/3.txt, line 1 (nearly the same)",
    )
    assert sum("two clamps" in passage.text for passage in packing.passages) == 1


def test_a_window_over_other_sentences_of_the_version_is_no_news() -> None:
    """Windows of two versions hardly ever begin and end at the same sentences."""
    world = TextWorld({1: NEW, 2: OLD})
    inside = world.hit_on(2, "It begins on the day of delivery. Damage by frost is excluded from it.", 0.9, 2)
    packing = packed(world, [whole(world, 1, 1.0), inside])
    assert [passage.document_id for passage in packing.passages] == [1]
    assert packing.decisions[1].reason == DropReason.NEAR_DUPLICATE
    assert packing.decisions[1].marginal_tokens == 0


def test_what_a_version_says_in_another_layout_is_the_same() -> None:
    marked = OLD.replace("four feet", "**four** feet").replace(". ", ".\n")
    world = TextWorld({1: OLD, 2: marked})
    packing = packed(world, [whole(world, 1, 1.0), whole(world, 2, 0.9)])
    assert len(packing.passages) == 1
    assert packing.passages[0].also_in == ("notes/2.txt, lines 1-5",)
    assert packing.decisions[1].reason == DropReason.DUPLICATE


def test_a_sentence_that_two_texts_happen_to_share_is_in_both() -> None:
    shared = "It begins on the day of delivery."
    world = TextWorld({1: f"The guarantee of the pump is two years. {shared}", 2: f"{OTHER} {shared}"})
    packing = packed(world, [whole(world, 1, 1.0), whole(world, 2, 0.9)])
    assert [passage.text for passage in packing.passages] == [world.texts[1], world.texts[2]]
    assert [passage.also_in for passage in packing.passages] == [(), ()]


def test_the_second_version_is_taken_where_the_first_does_not_fit() -> None:
    long = NEW + " The desk keeps a list of all pumps that were ever sold, with their owners and their doors."
    world = TextWorld({1: long, 2: OLD})
    packing = packed(world, [whole(world, 1, 1.0), world.hit(2, 80, len(OLD), 0.99, 2)], budget=27)
    assert packing.passages
    assert any("guarantee of the pump" in passage.text for passage in packing.passages)


def test_what_versions_share_leaves_room_for_something_else() -> None:
    world = TextWorld({1: NEW, 2: OLD, 3: OTHER})
    hits = [whole(world, 1, 1.0), whole(world, 2, 0.99), whole(world, 3, 0.8)]
    packing = packed(world, hits, budget=75)
    assert any(passage.document_id == 3 for passage in packing.passages)
    assert any("two years" in passage.text for passage in packing.passages)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It has **two** doors.", "It has two doors"),
        ("\u201cOpen\u201d, he said.", '"Open," he said.'),
        ("# Care", "Care"),
        ("| 3 | litres |", "3 litres"),
        ("Ann  fed\nthe cat.", "ANN fed the cat."),
    ],
)
def test_formats_do_not_make_texts_differ(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It runs at -5 degrees.", "It runs at 5 degrees."),
        ("Keep it < 5 bar.", "Keep it > 5 bar."),
        ("It weighs 1.5 kg.", "It weighs 15 kg."),
        ("It may be opened.", "It may not be opened."),
        ("It is written in C#.", "It is written in C."),
        ("if a == b:", "if a != b:"),
    ],
)
def test_what_says_something_else_differs(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)
