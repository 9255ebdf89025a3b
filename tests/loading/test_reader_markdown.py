import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.loading.encoding import clean
from ragstack.loading.readers import extract

SOURCE = """\
Preface before any heading.

# Mills *and* `wheels` ![a wheel](wheel.png) of [the valley](v.md) &amp; more ##

The mill stood
at the river.

Setext heading
with two lines
--------------

- one
  goes on

  second paragraph of one
  - nested
    ```py
    x = "# no heading"
    ```
1. first
2. second

> A quotation
> # is no heading
> - quoted item

| a | b |
|---|---|
| 1 | 2 |

<h2 align="center">Raw <b>heading</b></h2>

<div>
raw text
</div>

    indented code

    # still code

### Last {#anchor}
```
unclosed fence
"""


def read(source, name="a.md"):
    return extract(source.encode(), name)


def blocks(document):
    return [(element.kind.value, document.text[element.start : element.end]) for element in document.elements]


def headings(document):
    return [(element.level, element.title) for element in document.elements if element.level]


def test_blocks_are_slices_of_the_source(check):
    document = read(SOURCE)
    check(document)
    assert document.text == SOURCE
    assert document.lines_are_original
    assert blocks(document) == [
        ("paragraph", "Preface before any heading."),
        ("heading", "# Mills *and* `wheels` ![a wheel](wheel.png) of [the valley](v.md) &amp; more ##"),
        ("paragraph", "The mill stood\nat the river."),
        ("heading", "Setext heading\nwith two lines\n--------------"),
        ("list_item", "- one\n  goes on"),
        ("paragraph", "second paragraph of one"),
        ("list_item", "- nested"),
        ("code", '    ```py\n    x = "# no heading"\n    ```'),
        ("list_item", "1. first"),
        ("list_item", "2. second"),
        ("paragraph", "> A quotation"),
        ("paragraph", "> # is no heading"),
        ("list_item", "> - quoted item"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("heading", '<h2 align="center">Raw <b>heading</b></h2>'),
        ("paragraph", "<div>\nraw text\n</div>"),
        ("code", "    indented code\n\n    # still code"),
        ("heading", "### Last {#anchor}"),
        ("code", "```\nunclosed fence"),
    ]


def test_heading_titles_have_no_markup():
    assert headings(read(SOURCE)) == [
        (1, "Mills and wheels a wheel of the valley & more"),
        (2, "Setext heading with two lines"),
        (2, "Raw heading"),
        (3, "Last"),
    ]


def test_a_closing_mark_is_markup_only_after_a_space():
    assert headings(read("# C#\n\n## F# ##\n\n####\n\n#no heading\n")) == [(1, "C#"), (2, "F#")]


def test_long_lines_that_nobody_wrapped_are_paragraphs_of_their_own():
    source = "a sentence of some length. " * 10 + "\n" + "another sentence here. " * 12
    assert [text for _, text in blocks(read(source))] == [line.strip() for line in source.split("\n")]
    assert len(blocks(read("- " + source))) == 1


def test_a_reference_in_a_heading_is_resolved():
    assert headings(read("# See [this page][p]\n\n[p]: http://example.org\n")) == [(1, "See this page")]


def test_the_first_heading_of_level_1_is_the_title():
    assert read("## Second\n\n# First\n\n# Other\n").title == "First"
    assert read("## Only a second\n").title is None


def test_a_long_paragraph_above_dashes_is_no_heading():
    source = "word " * 60 + "\n---\n\ntext"
    assert headings(read(source)) == []
    assert blocks(read(source))[0][0] == "paragraph"


def test_carriage_returns_do_not_shift_lines():
    document = extract(b"# A\r\n\r\ntext\rmore\r\n", "a.md")
    assert document.text == "# A\n\ntext\nmore\n"
    assert blocks(document) == [("heading", "# A"), ("paragraph", "text\nmore")]


def test_front_matter_is_metadata_and_one_code_block():
    document = read(
        "---\n"
        'title: "The mill: a history"  # comment\n'
        "Author: Ann Miller\n"
        "date: 2024-03-01\n"
        "tags: [water, 'old wheels', ]\n"
        'topics:\n  - rivers\n  - "stone: cut"\n'
        "summary: >\n  folded over\n  two lines\n"
        "nested:\n  key: dropped\n"
        "empty:\n"
        "---\n\n# Heading\n"
    )
    assert document.title == "The mill: a history"
    assert document.metadata == {
        "author": "Ann Miller",
        "date": "2024-03-01",
        "tags": "water, old wheels",
        "topics": "rivers, stone: cut",
        "summary": "folded over two lines",
    }
    kinds = [element.kind.value for element in document.elements]
    assert kinds == ["code", "heading"]
    assert document.text[: document.elements[0].end].endswith("empty:\n---")
    assert document.text[document.elements[1].start :] == "# Heading\n"


@pytest.mark.parametrize(
    "source",
    [
        "---\n\nA rule, then text.\n\n---\n",
        "---\nkey: value\n\nnever closed\n",
        "text\n---\nkey: value\n---\n",
        "--- not\nkey: value\n---\n",
        "----\nkey: value\n----\n",
    ],
)
def test_dashes_that_open_no_front_matter_stay_markdown(source):
    document = read(source)
    assert document.metadata == {}
    assert document.text == source


def test_front_matter_alone_is_a_document(check):
    document = read("---\ntitle: x\n---")
    check(document)
    assert document.title == "x"
    assert blocks(document) == [("code", "---\ntitle: x\n---")]


def test_nesting_without_end_is_read():
    document = read("> " * 5_000 + "deep\n\n" + "- " * 2_000 + "deeper")
    assert "deeper" in document.text


MARKS = [
    "# ",
    "## ",
    "- ",
    "1. ",
    "> ",
    "```",
    "~~~",
    "    ",
    "\t",
    "|",
    "a|b",
    "-|-",
    "---",
    "===",
    "*",
    "`",
    "\\",
]
PIECES = [
    "<div>",
    "<h1>x</h1>",
    "<!--",
    "-->",
    "[x]: y",
    "[a][x]",
    "&amp;",
    "title: x",
    "word",
    "é",
    "\U0001f600",
]
BLANKS = ["\n", "\n\n", " ", "\u2028", "\x0c", "\0", "\r"]
MARKDOWN = st.lists(st.sampled_from([*MARKS, *PIECES, *BLANKS, "\n", "\n"]), max_size=40).map("".join)


@given(MARKDOWN)
def test_any_markdown_gives_sorted_disjoint_elements_over_the_source(check, source):
    document = read(source)
    check(document)
    assert document.text == clean(source)
