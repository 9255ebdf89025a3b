"""Which sections share windows, and which headings and context a window gets."""

from __future__ import annotations

from chunking_strategies import build

from ragstack.chunking.windows import chunk_document
from ragstack.records import Chunk, ChunkerSettings, Document

LONG = "The window slides over the text and shares a part of it with the next one. " * 6  # 96 tokens
SHORT = "It holds."


def cut(document: Document, tokenizer, size: int = 120, overlap: int = 20, **more: int) -> list[Chunk]:
    return chunk_document(
        document, tokenizer, ChunkerSettings(size, overlap, **more), max_tokens=256, overhead=2
    )


def test_a_window_stays_in_its_section(minilm):
    document = build(("h1", "One"), ("p", LONG), ("h1", "Two"), ("p", LONG))
    chunks = cut(document, minilm)
    assert [chunk.headings for chunk in chunks] == [("One",), ("Two",)]
    assert [chunk.text.split("\n")[0] for chunk in chunks] == ["# One", "# Two"]


def test_small_sections_share_a_window_under_their_parents_heading(minilm):
    questions = [block for n in range(8) for block in (("h2", f"Question {n}"), ("p", SHORT))]
    chunks = cut(build(("h1", "Answers"), ("p", LONG), *questions), minilm)
    assert chunks[0].headings == ("Answers",)
    shared = [chunk for chunk in chunks if chunk.text.count("Question") > 1]
    assert shared
    assert len(chunks) < 5
    assert all(chunk.headings == ("Answers",) for chunk in shared)


def test_a_small_section_does_not_join_a_higher_one_that_follows(minilm):
    document = build(("h1", "One"), ("p", LONG), ("h2", "Small"), ("p", SHORT), ("h1", "Two"), ("p", LONG))
    chunks = cut(document, minilm, size=105)
    assert [chunk.headings for chunk in chunks] == [("One",), ("One", "Small"), ("Two",)]


def test_a_small_section_at_the_end_joins_the_one_before_if_both_fit(minilm):
    document = build(("h1", "One"), ("p", LONG[:200]), ("h1", "Two"), ("p", SHORT))
    assert len(cut(document, minilm)) == 1


def test_a_heading_without_text_stays_with_what_follows(minilm):
    document = build(
        ("h1", "Guide"), ("h2", "Setup"), ("p", LONG), ("h2", "Part"), ("h1", "Use"), ("p", LONG)
    )
    chunks = cut(document, minilm)
    assert chunks[0].text.startswith("# Guide\n\n## Setup")
    assert chunks[0].headings == ("Guide", "Setup")
    assert chunks[1].text.startswith("## Part\n\n# Use")
    assert chunks[1].headings == ("Use",)


def test_headings_without_text_at_the_end_join_what_stands_before(minilm):
    chunks = cut(build(("h1", "One"), ("p", LONG), ("h1", "Two")), minilm)
    assert len(chunks) == 1
    assert chunks[0].text.endswith("# Two")


def test_the_context_is_the_title_and_the_headings_that_the_window_does_not_show(minilm):
    document = build(
        ("h1", "Guide"), ("p", LONG), ("h2", "Setup"), ("p", LONG * 3), title="Manual of the machine"
    )
    chunks = cut(document, minilm)
    assert [chunk.context for chunk in chunks] == [
        "Manual of the machine",
        "Manual of the machine > Guide",
        *["Manual of the machine > Guide > Setup"] * (len(chunks) - 2),
    ]
    assert chunks[-1].headings == ("Guide", "Setup")


def test_a_title_that_the_first_heading_repeats_is_not_said_twice(minilm):
    document = build(("h1", "The  Guide"), ("p", LONG * 3), title="The guide")
    chunks = cut(document, minilm)
    assert chunks[0].context == ""
    assert chunks[1].context == "The  Guide".replace("  ", " ")


def test_a_context_that_is_too_long_keeps_the_deepest_heading(minilm):
    document = build(
        ("h1", "An outer heading of many words"), ("h2", "Inner"), ("p", LONG * 2), title="Some title"
    )
    contexts = [chunk.context for chunk in cut(document, minilm, max_context_tokens=4)]
    assert contexts[-1] == "Inner"


def test_a_single_heading_that_is_too_long_keeps_its_first_words(minilm):
    document = build(("h1", "One heading of many words that is too long"), ("p", LONG * 2))
    assert cut(document, minilm, max_context_tokens=3)[-1].context == "One heading of"


def test_no_context_is_written_if_none_is_wanted(minilm):
    chunks = cut(build(("h1", "One"), ("p", LONG * 2), title="T"), minilm, max_context_tokens=0)
    assert {chunk.context for chunk in chunks} == {""}
    assert all(chunk.embedding_text == chunk.text for chunk in chunks)


def test_a_context_takes_no_more_than_a_quarter_of_what_fits(minilm):
    document = build(("h1", "word " * 60), ("p", LONG * 2))
    settings = ChunkerSettings(32, 8, max_context_tokens=200)
    chunks = chunk_document(document, minilm, settings, max_tokens=42, overhead=2)
    counts = minilm.count_many([chunk.context for chunk in chunks])
    assert max(counts) == 10


def test_windows_are_shortened_where_the_context_leaves_them_less_room(minilm):
    document = build(("h1", "A heading with several words in it"), ("p", LONG * 3))
    chunks = chunk_document(document, minilm, ChunkerSettings(64, 16), max_tokens=66, overhead=2)
    assert max(minilm.count_many([chunk.embedding_text for chunk in chunks])) <= 64
    assert max(chunk.tokens for chunk in chunks[1:]) <= 57
    assert chunks[0].tokens > 50


def table(rows: int) -> str:
    return "\n".join(
        ["| part | weight |", "|---|---|", *(f"| number {row} | {row} kg |" for row in range(rows))]
    )


def test_rows_are_never_torn_and_later_parts_of_a_table_say_its_header(minilm):
    document = build(("h1", "Parts"), ("p", "All parts:"), ("table", table(40)))
    chunks = cut(document, minilm)
    assert len(chunks) > 2
    assert chunks[0].context == ""
    for chunk in chunks[1:]:
        assert chunk.context == "Parts\n| part | weight |"
        assert chunk.text.startswith("| number")
        assert chunk.text.endswith("kg |")


def test_a_table_header_that_leaves_no_room_is_left_out(minilm):
    document = build(("h1", "Parts"), ("table", table(40)))
    assert {chunk.context for chunk in cut(document, minilm, max_context_tokens=5)[1:]} == {"Parts"}


def test_code_is_parted_at_line_ends(minilm):
    lines = [f"    value_{n} = compute(value_{n + 1}, {n})" for n in range(60)]
    document = build(("h1", "Code"), ("code", "\n".join(["```python", *lines, "```"])))
    for chunk in cut(document, minilm)[1:]:
        first, last = chunk.text.split("\n")[0].strip(), chunk.text.split("\n")[-1].strip()
        assert first.startswith("value_")
        assert last.endswith(")") or last == "```"


def test_no_window_ends_with_a_heading_or_with_an_introduction(minilm):
    blocks = [
        block
        for n in range(20)
        for block in (("h3", f"Part {n}"), ("p", "The steps are:"), ("li", f"- {SHORT}"))
    ]
    document = build(("h1", "Steps"), *blocks)
    for chunk in cut(document, minilm, size=60, overlap=10)[:-1]:
        assert chunk.text.endswith(SHORT)
