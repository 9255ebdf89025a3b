"""Two versions of a text: what they share is paid for once and cited twice, what differs is shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from packing_world import TextWorld, WordCounter

from ragstack.answering.evidence import lexical_relevance
from ragstack.context import planning
from ragstack.context.duplicates import copied_segments, normalised
from ragstack.context.frames import PrintedFrame
from ragstack.context.layout import lay_out
from ragstack.context.packing import Packing, pack
from ragstack.records import DropReason, Hit

QUESTION = "How long is the guarantee of the pump"
OLD = (
    "The pump is delivered with a hose and two clamps. It stands level on four feet. "
    "The guarantee of the pump is two years. It begins on the day of delivery. "
    "Damage by frost is excluded from it. Keep the bill in the box with the hose."
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
    assert [passage.text for passage in packing.passages] == [
        NEW,
        "It stands level on four feet. The guarantee of the pump is two years.",
    ]
    assert [passage.document_id for passage in packing.passages] == [1, 2]
    assert packing.decisions[1].reason == "trimmed to 14 of 47 tokens, in [2]"


def test_a_passage_names_the_other_version_as_nearly_the_same() -> None:
    world = TextWorld({1: NEW, 2: f"Version of last year.\n{OLD}"})
    packing = packed(world, [whole(world, 1, 1.0), world.hit_on(2, OLD, 0.99, 2)])
    assert packing.passages[0].also_in == ("notes/2.txt, line 2 (nearly the same)",)
    assert packing.passages[1].also_in == ()


def test_three_versions_are_cited_with_one_passage() -> None:
    texts = {1: NEW, 2: OLD, 3: NEW.replace("level", "upright")}
    world = TextWorld(texts)
    packing = packed(world, [whole(world, each, 1.0 - each / 100) for each in texts])
    (longest,) = [passage for passage in packing.passages if "two clamps" in passage.text]
    assert longest.also_in == tuple(
        f"notes/{each}.txt, line 1 (nearly the same)" for each in texts if each != longest.document_id
    )
    said = " ".join(passage.text for passage in packing.passages)
    assert all(part in said for part in ("two years", "three years", "level", "upright"))


def test_a_window_over_other_sentences_of_the_version_is_no_news() -> None:
    """Windows of two versions hardly ever begin and end at the same sentences."""
    world = TextWorld({1: NEW, 2: OLD})
    inside = world.hit_on(2, "It begins on the day of delivery. Damage by frost is excluded from it.", 0.9, 2)
    packing = packed(world, [whole(world, 1, 1.0), inside])
    assert [passage.document_id for passage in packing.passages] == [1]
    assert packing.passages[0].also_in == ("notes/2.txt, line 1 (nearly the same)",)
    assert packing.decisions[1].reason == DropReason.NEAR_DUPLICATE
    assert packing.decisions[1].marginal_tokens == 0


def test_what_a_version_says_in_another_layout_is_the_same() -> None:
    marked = OLD.replace("four feet", "**four** feet").replace(". ", ".\n")
    world = TextWorld({1: OLD, 2: marked})
    packing = packed(world, [whole(world, 1, 1.0), whole(world, 2, 0.9)])
    assert len(packing.passages) == 1
    assert packing.passages[0].also_in == ("notes/2.txt, lines 1-6",)
    assert packing.decisions[1].reason == DropReason.DUPLICATE


def test_a_sentence_that_two_texts_happen_to_share_is_in_both() -> None:
    shared = "It begins on the day of delivery."
    world = TextWorld({1: f"The guarantee of the pump is two years. {shared}", 2: f"{OTHER} {shared}"})
    packing = packed(world, [whole(world, 1, 1.0), whole(world, 2, 0.9)])
    assert [passage.text for passage in packing.passages] == [world.texts[1], world.texts[2]]
    assert [passage.also_in for passage in packing.passages] == [(), ()]


def test_the_reader_is_told_where_else_the_text_stands() -> None:
    """Of two data sheets what they share is given once; it holds for both things all the same."""
    sheet = "It weighs 12 kg. The guarantee is two years. It runs at 230 V. It has two doors."
    texts = {1: f"The pump X100 is for gardens. {sheet}", 2: f"The pump X200 is for cellars. {sheet}"}
    world = TextWorld(texts)
    packing = packed(world, [whole(world, 1, 1.0), whole(world, 2, 0.9)])
    assert [passage.text for passage in packing.passages] == [texts[1], "The pump X200 is for cellars."]
    prompt = PrintedFrame(QUESTION).render(packing.passages)
    assert "[1] notes/1.txt, line 1; also in notes/2.txt, line 1 (nearly the same)\n" in prompt
    assert packing.tokens == len(prompt.split()) - len(QUESTION.split())


def test_what_one_document_says_twice_is_no_copy_of_itself() -> None:
    guarantee = "The guarantee is two years."
    between = "Something else that is long stands between the two of them. " * 8
    text = f"Pump model one. {guarantee}\n\n{between}\n\nBoiler model nine. {guarantee}"
    world = TextWorld({1: text, 2: text.replace("model", "kind")})
    hits = [
        world.hit_on(1, f"Pump model one. {guarantee}", 1.0, 1),
        world.hit_on(2, f"Pump kind one. {guarantee}", 0.99, 2),
        world.hit_on(1, f"Boiler model nine. {guarantee}", 0.98, 3),
        world.hit_on(2, f"Boiler kind nine. {guarantee}", 0.96, 4),
    ]
    packing = packed(world, hits)
    assert {hit.text for hit in hits} == {passage.text for passage in packing.passages}
    assert all(passage.also_in == () for passage in packing.passages)


def test_a_place_is_exact_only_if_it_says_all_of_the_passage_in_its_order() -> None:
    one, two, three, four = (part.strip() + "." for part in OLD.split(".")[:4])
    world = TextWorld({1: f"{one} {two} {three} {four}", 2: f"{one} {two} {three}", 3: four})
    packing = packed(world, [whole(world, each, 1.1 - each / 10) for each in (1, 2, 3)])
    assert packing.passages[0].also_in == (
        "notes/2.txt, line 1 (nearly the same)",
        "notes/3.txt, line 1 (nearly the same)",
    )
    turned = TextWorld({1: world.texts[1], 2: f"{four} {three} {two} {one}"})
    packing = packed(turned, [whole(turned, each, 1.1 - each / 10) for each in (1, 2)])
    assert packing.passages[0].also_in == ("notes/2.txt, line 1 (nearly the same)",)


def test_what_versions_share_is_paid_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = TextWorld({1: NEW, 2: OLD, 3: OTHER})
    hits = [whole(world, 1, 1.0), whole(world, 2, 0.99), whole(world, 3, 0.8)]
    shown = len(NEW.split()) + 14 + len(OTHER.split())
    headers = len(
        "[1] notes/1.txt, line 1; also in notes/2.txt, line 1 (nearly the same) [2] notes/2.txt, line 1 "
        "[3] notes/3.txt, line 1".split()
    )
    assert packed(world, hits).tokens == shown + headers
    monkeypatch.setattr(planning, "copied_segments", lambda layout, tokens: {})
    twice = len(OLD.split()) - 14 - len("also in notes/2.txt, line 1 (nearly the same)".split())
    assert packed(world, hits).tokens == shown + headers + twice


def test_packing_many_versions_does_not_take_the_square_of_their_rows() -> None:
    """Rows that come again in a document are no copies, so they are not compared with all others."""
    rows = "\n".join(f"| part {number} | yes |\n| spare | no |" for number in range(30))
    world = TextWorld({each: f"List {each}.\n{rows}" for each in range(1, 41)})
    layout = lay_out([whole(world, each, 1 - each / 100) for each in world.texts], world)
    copies = copied_segments(layout, dict.fromkeys(layout.segments, 1))
    spare = [number for number, segment in layout.segments.items() if "spare" in segment.text]
    assert len(spare) == 40 * 30
    assert not copies.keys() & set(spare)


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
