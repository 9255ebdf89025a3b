"""Sentence segmentation on varied prose, and what holds for any text."""

from __future__ import annotations

import re

import pytest
from chunking_strategies import any_text, documents
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.chunking.sentences import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


# In each text `¦` stands where a sentence ends and the next begins; it is taken out, and the blanks stay.
PROSE = {
    "plain": "The cache grows.¦ It never shrinks!¦ Does it matter?¦ Yes.",
    "titles": "Dr. Ada Smith met Prof. J. R. R. Brown and Mrs. Lee.¦ They talked.",
    "latin abbreviations": "Use units, e.g. metres, i.e. SI units, cf. the annex.¦ Others fail.",
    "countries": "The U.S. Government and the U.K. Parliament met.¦ He moved to the U.S.¦ The rest stayed.",
    "numbers": "See No. 5 and Fig. 3 on p. 12, vol. 2.¦ It cost 3.14 or $2.50.¦ In 1998.¦ The end.",
    "no as an answer": "No.¦ He would not.¦ Was it 9 a.m. or 9 p.m.?¦ It was 9 p.m.¦ We left.",
    "companies": "Acme Inc. Holdings bought Foo Ltd. yesterday.¦ Bar Corp.¦ The market fell.",
    "months": "It opened on Jan. 5 and closed on Dec. 24.¦ Then it snowed.",
    "single letters": "Take vitamin C.¦ The label says so.¦ Franklin D. Roosevelt did.",
    "ellipses": "Well... maybe.¦ Wait… what?¦ And then . . . nothing.¦ So it goes...¦ Next.",
    "quotations": '"Is it true?" he asked.¦ "It is."¦ She left.¦ “Never!”¦ He stayed. ',
    "brackets": "It works (see the annex).¦ (The annex is long.)¦ Read it.[12]¦ Then decide.",
    "emphasis": "**Keep it short.**¦ *Really short.*¦ Otherwise nobody reads it.",
    "addresses": "Visit example.com.¦ Write to a.b@example.com, port 8.8.8.8.¦ Done.",
    "several marks": "What?!¦ No!!!¦ Really...?¦ Yes.",
    "small letters after a stop": "The approx. value of iPhone sales vs. others is unknown.¦ It rose.",
    "German": "Das ist z.B. Herr Dr. Müller.¦ Er kam am 3. Oktober, vgl. Nr. 5.¦ Danach ging er.",
    "French": "Il a dit «Non.»¦ Puis M. Dupont est parti.¦ Où ça ?¦ Là-bas.",
    "Spanish": "¿Cómo estás?¦ ¡Muy bien!¦ Gracias.",
    "Chinese": "今天下雨。¦价格是3．14元！¦真的吗？¦他说：“好的。”¦然后走了。",
    "Japanese": "晴れです。¦「はい。」と言った。¦本当ですか？¦そうです。",
    "Hindi and Arabic": "यह एक वाक्य है।¦ दूसरा वाक्य।¦ كيف حالك؟¦ أنا بخير.",
    "all in small letters": "it had $20 million.¦ a tax asset, e.g. this one, was set up.¦ so be it.",
    "spaced marks": "It was released in Japan .¦ Critics praised it , mostly .¦ Sales rose .",
}


@pytest.mark.parametrize("text", PROSE.values(), ids=PROSE.keys())
def test_prose_is_parted_where_a_reader_parts_it(text):
    expected = [sentence.strip() for sentence in text.split("¦")]
    assert sentences(text.replace("¦", "")) == expected


LINES = {
    "a paragraph that is wrapped": """
        The window slides over the text in steps that are
        shorter than itself, so that what is cut by one
        window is whole in the next.¦ Nothing is lost by it,
        whatever the length of the sentences.
    """,
    "blank lines": """
        a paragraph without a stop
        ¦
        another one
    """,
    "a list": """
        - first item
        ¦- second item.¦ It has two sentences,
          of which one is wrapped
        ¦* third
        ¦1. fourth
        ¦2) fifth
    """,
    "headings": """
        # Title
        ¦Some text under it that is as long as lines
        tend to be in files of this kind.
        ¦## Part
        ¦More.
    """,
    "a heading without a mark": """
        Introduction
        ¦This document explains how long texts are cut into
        windows, and why the windows overlap.
    """,
    "a table": """
        | a | b |
        ¦|---|---|
        ¦| 1 | 2 |
    """,
    "an address": """
        12 High Street
        ¦Oxford
        ¦OX1 2JD
    """,
    "a log": """
        2024-01-05 12:00:01 started the server on port 8080
        ¦2024-01-05 12:00:02 the disk is almost full again
    """,
}


@pytest.mark.parametrize("text", LINES.values(), ids=LINES.keys())
def test_line_breaks_part_only_what_was_not_wrapped(text):
    text = re.sub(r"^ {8}", "", text, flags=re.MULTILINE).strip()
    expected = [sentence.strip() for sentence in text.split("¦")]
    assert sentences(text.replace("¦", "")) == expected


def test_lines_too_long_to_be_wrapped_are_paragraphs():
    line = "word " * 60 + "end"
    assert sentences(f"{line}\n{line}\nshort tail") == [line, line, "short tail"]


def test_a_span_is_searched_by_itself():
    text = "One. Two. Three. Four."
    assert sentence_spans(text, 5, 16) == [(5, 9), (10, 16)]
    assert sentence_spans(text, 5, None) == [(5, 9), (10, 16), (17, 22)]
    assert sentence_spans(text, 4, 5) == []


@pytest.mark.parametrize("run", [".", "!", ". ", '."', "([", "\n", " ", "。", "- "])
def test_a_hundred_thousand_marks_are_searched_in_one_pass(run):
    text = "Before. " + run * 100_000 + " after. End."  # with a search from every mark on, this takes minutes
    assert text[slice(*sentence_spans(text)[-1])] == "End."


@pytest.mark.parametrize("text", ["", " ", "\n\n \t"])
def test_blank_text_has_no_sentences(text):
    assert sentence_spans(text) == []


@settings(max_examples=300, deadline=None)
@given(st.one_of(any_text, st.text(max_size=80), st.text(alphabet="aB. \n!\"'…。」1-#|", max_size=60)))
def test_sentences_hold_every_character_that_is_not_blank_in_order(text):
    spans = sentence_spans(text)
    position = 0
    for start, end in spans:
        assert not text[position:start].strip()
        assert start < end
        assert text[start:end] == text[start:end].strip()
        position = end
    assert not text[position:].strip()


@settings(max_examples=80, deadline=None)
@given(documents(), st.data())
def test_a_span_has_the_sentences_that_it_has_when_cut_out(document, data):
    text = document.text
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    cut_out = [(start + first, start + last) for first, last in sentence_spans(text[start:end])]
    assert sentence_spans(text, start, end) == cut_out
