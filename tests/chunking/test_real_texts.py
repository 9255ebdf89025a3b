"""Snapshots: how real texts are cut, readable as a whole. A change here is a change of every index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chunking_strategies import build

from ragstack.chunking.sentences import sentence_spans
from ragstack.chunking.windows import chunk_document
from ragstack.loading.readers import extract
from ragstack.records import Chunk, ChunkerSettings, Document, Element, ElementKind

SAFETY = (
    "Never open the lid while the water boils, because steam is hotter than it looks. Keep the cord away from"
    " the stove. If the base gets wet, pull the plug and let it dry for a day before you use it again."
)

PRICES = """\
| number | part | price |
|---|---|---|
| K2-1 | lid | 7.50 EUR |
| K2-2 | filter | 4.50 EUR |
| K2-3 | base | 19.50 EUR |
| K2-4 | handle | 9.50 EUR |
| K2-5 | gauge | 6.50 EUR |
| K2-6 | cord | 8.50 EUR |"""

MANUAL = build(
    ("h1", "Kettle K2"),
    ("p", "The K2 boils a litre of water in four minutes. It switches itself off."),
    ("h2", "Safety"),
    ("p", SAFETY),
    ("h2", "Cleaning"),
    ("p", "Lime builds up in hard water. To remove it:"),
    ("li", "- Fill the kettle halfway with water and one spoon of citric acid, e.g. from a pharmacy."),
    ("li", "- Boil it once. Wait twenty minutes."),
    ("li", "- Pour it out and rinse the kettle three times, or the next tea will taste of it."),
    ("h2", "Parts"),
    ("p", "Order by number."),
    ("table", PRICES),
    title="Kettle K2: manual",
)

PROSE = """\
The lighthouse stood empty for nine years. Nobody on the island could say who paid for the oil, but every
evening at six the lamp was lit, and every morning at seven it went out. Mr. Hale, who kept the only shop,
said it was the wind.

It was not the wind. In the winter of 1931 Dr. Ames rowed over with her brother, broke the lock and climbed
the stairs. She found the lamp clean, the brass polished, the log written up to the evening before: "Six
o'clock. Lit. Visibility four miles." The hand was her own father's, who had been dead since the year she
left for school, and who had never, as far as anybody knew, learned to write more than his name.

They went down again. Neither of them spoke of it until the spring.
"""


def document_of(text: str) -> Document:
    return Document(text=text, media_type="text/plain", reader="test", reader_version=1)


def texts(chunks: list[Chunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


def test_a_manual_is_cut_at_its_sections_lists_and_rows(minilm):
    chunks = chunk_document(MANUAL, minilm, ChunkerSettings(64, 16), max_tokens=256, overhead=2)
    assert [(chunk.context, chunk.text.splitlines()[0], chunk.text.splitlines()[-1]) for chunk in chunks] == [
        (
            "Kettle K2: manual",
            "# Kettle K2",
            "The K2 boils a litre of water in four minutes. It switches itself off.",
        ),
        (
            "Kettle K2: manual > Kettle K2",
            "## Safety",
            SAFETY,
        ),
        ("Kettle K2: manual > Kettle K2", "## Cleaning", "- Boil it once."),
        (
            "Kettle K2: manual > Kettle K2 > Cleaning",
            "- Fill the kettle halfway with water and one spoon of citric acid, e.g. from a pharmacy.",
            "- Pour it out and rinse the kettle three times, or the next tea will taste of it.",
        ),
        ("Kettle K2: manual > Kettle K2", "## Parts", "| K2-2 | filter | 4.50 EUR |"),
        (
            "Kettle K2: manual > Kettle K2 > Parts\n| number | part | price |",
            "| K2-1 | lid | 7.50 EUR |",
            "| K2-4 | handle | 9.50 EUR |",
        ),
        (
            "Kettle K2: manual > Kettle K2 > Parts\n| number | part | price |",
            "| K2-3 | base | 19.50 EUR |",
            "| K2-6 | cord | 8.50 EUR |",
        ),
    ]


def test_prose_is_cut_at_sentences_and_a_long_one_at_a_clause(minilm):
    chunks = chunk_document(document_of(PROSE), minilm, ChunkerSettings(64, 24), max_tokens=256, overhead=2)
    sentences = [PROSE[start:end] for start, end in sentence_spans(PROSE)]
    empty, nobody, hale, wind, winter, log, visibility, hand, down, neither = sentences
    assert [list(parts_of(chunk.text, sentences)) for chunk in chunks] == [
        [empty, nobody, hale],
        [wind, winter, log, visibility],
        ["polished, the log written up to the evening before: \"Six\no'clock.", visibility, hand],
        [hand, down, neither],
    ]


def parts_of(text: str, sentences: list[str]) -> Iterator[str]:
    """The sentences of a chunk, of the first one what the chunk has of it."""
    first = text
    whole = [sentence for sentence in sentences if sentence in text]
    if not text.startswith(tuple(whole)):
        first = text[: text.index(whole[0])].strip()
        yield first
    yield from whole


@pytest.fixture(scope="module")
def sample_documents() -> list[Document]:
    """The project's own documents in Markdown, read by the loading stage."""
    folder = Path(__file__).parents[2] / "data" / "documents"
    return [extract(path.read_bytes(), path.name) for path in sorted(folder.rglob("*.md"))]


def test_the_sample_documents_are_cut_along_their_headings(minilm, sample_documents):
    assert sample_documents
    for document in sample_documents:
        chunks = chunk_document(document, minilm, ChunkerSettings(160, 40), max_tokens=256, overhead=2)
        assert sum(chunk.tokens for chunk in chunks) < 2.2 * minilm.count(document.text)
        for chunk in chunks:
            for heading in (each for each in document.elements if each.kind is ElementKind.HEADING):
                assert not chunk.start < heading.start < chunk.end < heading.end
                assert not heading.start < chunk.start < heading.end


def test_the_units_of_the_sample_documents_are_whole_in_some_chunk(minilm, sample_documents):
    kinds = {ElementKind.HEADING, ElementKind.LIST_ITEM, ElementKind.TABLE, ElementKind.CODE}
    for document in sample_documents:
        chunks = chunk_document(document, minilm, ChunkerSettings(160, 80), max_tokens=256, overhead=2)
        for element in (each for each in document.elements if each.kind in kinds):
            for line in lines_of(document.text, element):
                if minilm.count(document.text[line.start : line.stop]) <= 160:
                    assert any(chunk.start <= line.start and line.stop <= chunk.end for chunk in chunks)


def lines_of(text: str, element: Element) -> list[range]:
    """The lines of an element that are not blank, without the blanks around them."""
    lines = []
    start = element.start
    for line in text[element.start : element.end].splitlines(keepends=True):
        first = start + len(line) - len(line.lstrip())
        last = start + len(line.rstrip())
        start += len(line)
        if first < last:
            lines.append(range(first, last))
    return lines
