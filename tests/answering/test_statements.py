from __future__ import annotations

import pytest
from packing_world import passage

from ragstack.answering.statements import statements
from ragstack.records import Passage

GUIDE = """# Pump guide

The pump is red. It weighs 4 kg.

## Maintenance

Do this every month:

- Close the valve.
2. Oil the *hinge*.

Does it leak?

Replace the gasket. Why wait? Do it now.

| part | price |
|------|-------|
| gasket | 3.50 |
| hinge | 12.00 |

After the table.
"""


def texts(*passages: Passage) -> list[str]:
    return [statement.text for statement in statements(passages)]


def test_headings_questions_and_rules_are_not_statements() -> None:
    assert texts(passage(GUIDE)) == [
        "The pump is red.",
        "It weighs 4 kg.",
        "Do this every month:",
        "Close the valve.",
        "Oil the *hinge*.",
        "Replace the gasket.",
        "Do it now.",
        "| gasket | 3.50 |",
        "| hinge | 12.00 |",
        "After the table.",
    ]


def test_spans_are_exact_wherever_the_passage_stands() -> None:
    document = "x" * 1_000 + GUIDE
    for statement in statements([passage(GUIDE, start=1_000)]):
        assert document[statement.start : statement.end] == statement.text


def test_the_topic_follows_headings_and_questions() -> None:
    topics = {
        statement.text: statement.topic for statement in statements([passage(GUIDE, headings=("Intro",))])
    }
    assert topics["The pump is red."] == "Note 1 > Pump guide"
    assert topics["Close the valve."] == "Note 1 > Maintenance"
    assert topics["Replace the gasket."] == "Note 1 > Does it leak?"


def test_a_question_inside_a_paragraph_is_no_topic() -> None:
    topics = {statement.text: statement.topic for statement in statements([passage(GUIDE)])}
    assert topics["Do it now."] == "Note 1 > Does it leak?"


def test_a_passage_without_heading_is_about_what_its_document_and_section_are_about() -> None:
    (statement,) = statements([passage("It leaks.", headings=("Pump", "Valve"))])
    assert statement.topic == "Note 1 > Valve"
    assert statement.topical_text == "Note 1 > Valve: It leaks."
    (bare,) = statements([passage("It leaks.", title=None)])
    assert bare.topical_text == "It leaks."


def test_rows_know_the_header_of_their_table_and_other_statements_do_not() -> None:
    header = "| part | price |"
    for statement in statements([passage(GUIDE)]):
        if statement.text.startswith("|"):
            assert statement.header is not None
            assert GUIDE[slice(*statement.header)] == header
        else:
            assert statement.header is None


def test_rows_of_a_table_whose_header_is_not_in_the_passage_stand_alone() -> None:
    rows = statements([passage("| gasket | 3.50 |\n| hinge | 12.00 |")])
    assert [(row.text, row.header) for row in rows] == [
        ("| gasket | 3.50 |", None),
        ("| hinge | 12.00 |", None),
    ]


@pytest.mark.parametrize(
    "line", ["- Close it.", "* Close it.", "3. Close it.", "(4) Close it.", "> Close it.", "• Close it."]
)
def test_markers_of_lists_are_not_quoted(line: str) -> None:
    (statement,) = statements([passage(line)])
    assert statement.text == "Close it."
    assert (statement.start, statement.end) == (line.index("C"), len(line))


def test_passages_are_numbered_in_their_order() -> None:
    found = statements([passage("One. Two."), passage("Three.", start=50)])
    assert [(each.number, each.position) for each in found] == [(1, 0), (1, 1), (2, 0)]


def test_a_passage_of_headings_and_questions_only_gives_no_statement() -> None:
    assert statements([passage("# Pumps\n\nWhat now?"), passage("")]) == []


def test_a_short_line_between_blank_lines_is_a_heading_though_it_has_no_markup() -> None:
    text = "Pump guide\n\nIt is red.\n\n3.2 Spare parts\n\nAsk in hall 2.\n\nContact: Dora Fischer\n\nHall 4"
    found = statements([passage(text)])
    assert [(each.text, each.topic) for each in found] == [
        ("It is red.", "Note 1 > Pump guide"),
        ("Ask in hall 2.", "Note 1 > 3.2 Spare parts"),
        ("Contact: Dora Fischer", "Note 1 > 3.2 Spare parts"),
        ("Hall 4", "Note 1 > 3.2 Spare parts"),
    ]


def test_lines_of_a_list_without_markers_are_no_headings() -> None:
    assert texts(passage("Bring this:\n\nMilk\nEggs\nFlour\n\nThank you.")) == [
        "Bring this:", "Milk", "Eggs", "Flour", "Thank you.",
    ]  # fmt: skip


def test_a_table_without_rule_has_its_first_row_for_a_header_and_keeps_it() -> None:
    text = "Basic | Trade\nPrice per year | 96 EUR\nInspection | every 24 months\n\nThat is all."
    found = statements([passage(text, start=100)])
    assert [each.text for each in found] == [
        "Basic | Trade", "Price per year | 96 EUR", "Inspection | every 24 months", "That is all.",
    ]  # fmt: skip
    assert [each.header for each in found] == [None, (100, 113), (100, 113), None]
    assert [each.is_row for each in found] == [True, True, True, False]


def test_pairs_are_of_terms_that_stand_together() -> None:
    (statement,) = statements([passage("The notice period is four weeks.")])
    assert statement.pairs == {("notic", "period"), ("period", "four"), ("four", "week")}


def test_fenced_code_is_no_statement_even_if_the_passage_begins_or_ends_inside_it() -> None:
    whole = "The rate is 9 percent.\n\n```python\nrate = 9  # percent\n```\n\nIt falls in May.\n"
    for text in (whole, whole[whole.index("rate =") :], whole[: whole.index("percent\n```") + 7]):
        assert not any("rate = 9" in each.text for each in statements([passage(text)])), text
    assert [each.text for each in statements([passage(whole)])] == [
        "The rate is 9 percent.",
        "It falls in May.",
    ]
