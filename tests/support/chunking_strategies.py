"""Hypothesis strategies that make documents with known structure, of ordinary and of nasty text."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from ragstack.records import ChunkerSettings, Document, Element, ElementKind

NASTY = [
    "\ufffd", "\ufffd\ufffd\ufffd", "e\u0301", "a\u0301\u0302\u0303", "👩‍💻", "👍🏽",
    "🇩🇪🇫🇷", "漢字", "。", "，", "한국어", "가" * 40, "שלום", "مرحبا", "\u202eabc\u202c",
    "\u200b", "\u200d", "𝔘𝔫𝔦", "𠀀𠀁", "ﬃ", "ﷺ", "İ", "ß", "Ǆ", "\x0b", "\x0c",
    "\x1c", "\x85", "\u2028", "\u2029", "\xa0", "\u3000", "\r\n", "\t", "[SEP]",
    "[CLS]", "[UNK]", "##x", "ภาษาไทยไม่มีเว้นวรรค", "-" * 30, "=" * 12, "x" * 101,
    "ß" * 100, "Ω" * 120, "é" * 99, "http://example.org/" + "a1b2" * 40,
    "0123456789abcdef" * 8, "…", "!?", "'\"", "a\x01b", "\U000e0001", "\ue000",
    "क्षि", "ញុំ",
]  # fmt: skip

WORDS = """the a window slides over text and every sentence stays whole if it can because readers want that
tokens are counted by embedder's own tokenizer internationalisation U.S. Dr. 3.14 e.g. (brackets) "quoted"
well-known state-of-the-art antidisestablishmentarianism Köln naïve""".split()

words = st.sampled_from(WORDS)


def make_sentence(length: int, seed: int, stop: str) -> str:
    """Words chosen by a seed: drawing each of them by itself would take most of the tests' time."""
    return " ".join(random.Random(seed).choices(WORDS, k=length)).capitalize() + stop


sentences = st.builds(
    make_sentence,
    st.integers(1, 40),
    st.integers(0, 999),
    st.sampled_from([".", ".", ".", "!", "?", ":", "", '."']),
)
paragraphs = st.lists(sentences, min_size=1, max_size=8).map(" ".join)
nasty_text = st.lists(
    st.one_of(
        st.sampled_from(NASTY),
        words,
        st.sampled_from([" ", "\n", "\n\n", "  ", ". ", ""]),
        st.text(max_size=12),
    ),
    max_size=60,
).map("".join)
any_text = st.one_of(paragraphs, nasty_text)
titles = st.one_of(st.lists(words, min_size=1, max_size=4).map(" ".join), nasty_text, st.just(""))

blocks = st.one_of(
    st.tuples(st.just(ElementKind.PARAGRAPH), any_text),
    st.tuples(st.just(ElementKind.PARAGRAPH), paragraphs),
    st.tuples(st.just(ElementKind.HEADING), titles),
    st.tuples(st.just(ElementKind.LIST_ITEM), any_text.map(lambda text: "- " + text)),
    st.tuples(
        st.just(ElementKind.CODE),
        st.lists(any_text, max_size=6).map(lambda lines: "\n".join(["```", *lines, "```"])),
    ),
    st.tuples(
        st.just(ElementKind.TABLE),
        st.lists(st.lists(words, max_size=6), min_size=1, max_size=8).map(
            lambda rows: "\n".join("| " + " | ".join(row) + " |" for row in rows)
        ),
    ),
    st.tuples(st.none(), any_text),
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document of up to a dozen blocks; some text lies outside of all elements."""
    text = draw(st.sampled_from(["", "\n", "  \n"]))
    elements = []
    for kind, content in draw(st.lists(blocks, max_size=12)):
        level = draw(st.integers(1, 6)) if kind is ElementKind.HEADING else 0
        content = without_what_loading_replaces(content)
        if kind is not None and content.strip():
            start = len(text)
            elements.append(Element(kind, start, start + len(content), level, content if level else ""))
        text += content + draw(st.sampled_from(["\n\n", "\n", "\n\n\n", " "]))
    return Document(
        text=text,
        media_type="text/markdown",
        reader="test",
        reader_version=1,
        title=draw(st.one_of(st.none(), titles.map(without_what_loading_replaces))),
        elements=tuple(elements),
    )


def without_what_loading_replaces(text: str) -> str:
    return "".join("\ufffd" if char == "\0" or "\ud800" <= char <= "\udfff" else char for char in text)


@st.composite
def prose_documents(draw: st.DrawFn) -> Document:
    """One section of ordinary sentences, without elements."""
    text = draw(st.lists(paragraphs, min_size=1, max_size=8).map("\n\n".join))
    return Document(text=text, media_type="text/plain", reader="test", reader_version=1)


@st.composite
def settings_of_chunker(draw: st.DrawFn) -> ChunkerSettings:
    size = draw(st.integers(16, 256))
    return ChunkerSettings(
        size=size,
        overlap=draw(st.integers(0, size // 2)),
        max_characters=draw(st.sampled_from([4_000, 4_000, 400, 64])),
        max_context_tokens=draw(st.sampled_from([48, 48, 0, 5, 200])),
    )


def build(*blocks: tuple[str, str], title: str | None = None) -> Document:
    """A document of blocks with blank lines between: ("h2", "Title"), ("p", text), ("li", text) and so on."""
    kinds = {"p": "paragraph", "li": "list_item", "code": "code", "table": "table"}
    text = ""
    elements = []
    for kind, content in blocks:
        is_heading = kind[0] == "h"
        level = int(kind[1]) if is_heading else 0
        shown = "#" * level + " " + content if is_heading else content
        name = ElementKind.HEADING if is_heading else ElementKind(kinds[kind])
        elements.append(
            Element(name, len(text), len(text) + len(shown), level, content if is_heading else "")
        )
        text += shown + "\n\n"
    return Document(
        text=text,
        media_type="text/markdown",
        reader="t",
        reader_version=1,
        title=title,
        elements=tuple(elements),
    )
