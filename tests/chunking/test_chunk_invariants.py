"""What holds for every document, tokenizer and setting; documents are drawn from ordinary and nasty text."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from itertools import pairwise

import pytest
from chunking_strategies import documents, prose_documents, settings_of_chunker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragstack.chunking.embedding_text import embedding_text
from ragstack.chunking.sentences import sentence_spans
from ragstack.chunking.windows import chunk_document
from ragstack.records import Chunk, ChunkerSettings, Document, Element, ElementKind

TOKENIZERS = ["minilm", "byte_pairs", "unsplit_unigram"]

thorough = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
brief = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
quick = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return request.getfixturevalue(request.param)


def assert_sound(
    document: Document, chunks: list[Chunk], tokenizer, sizes: ChunkerSettings, room: int
) -> None:
    covered = bytearray(len(document.text))
    for chunk in chunks:
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.text
        assert chunk.text == chunk.text.strip()
        assert len(chunk.text) <= sizes.max_characters
        assert chunk.tokens <= sizes.size
        assert chunk.embedding_text == embedding_text(chunk.context, chunk.text, tokenizer.word_limit)
        covered[chunk.start : chunk.end] = b"\1" * (chunk.end - chunk.start)
    assert all(covered[place] or character.isspace() for place, character in enumerate(document.text))
    for chunk, following in pairwise(chunks):
        assert chunk.start < following.start
        assert chunk.end < following.end
    counts = tokenizer.count_many([chunk.embedding_text for chunk in chunks]) if chunks else []
    assert all(count <= room for count in counts)
    contexts = [
        embedding_text("", chunk.context, tokenizer.word_limit) + "\n" for chunk in chunks if chunk.context
    ]
    limit = min(sizes.max_context_tokens, room // 4)
    assert all(count <= limit for count in (tokenizer.count_many(contexts) if contexts else []))


@thorough
@given(
    document=documents(), sizes=settings_of_chunker(), spare=st.integers(0, 60), overhead=st.integers(0, 8)
)
def test_chunks_cover_the_text_exactly_and_fit(tokenizer, document, sizes, spare, overhead):
    max_tokens = max(sizes.size + spare, 40)
    chunks = chunk_document(document, tokenizer, sizes, max_tokens=max_tokens, overhead=overhead)
    assert_sound(document, chunks, tokenizer, sizes, max_tokens - overhead)


@quick
@given(document=documents(), size=st.sampled_from([60, 250]), overlap=st.sampled_from([0, 30]))
def test_long_documents_that_are_tokenised_in_pieces_are_cut_as_soundly(tokenizer, document, size, overlap):
    document = repeated(document, at_least=20_000)
    sizes = ChunkerSettings(size, overlap)
    chunks = chunk_document(document, tokenizer, sizes, max_tokens=256, overhead=2)
    assert_sound(document, chunks, tokenizer, sizes, 254)


def repeated(document: Document, at_least: int) -> Document:
    """The document's text and elements over and over, so that it is longer than a piece."""
    width = len(document.text)
    times = min(at_least // max(width, 1) + 1, 200)
    elements = tuple(
        replace(each, start=each.start + width * turn, end=each.end + width * turn)
        for turn in range(times)
        for each in document.elements
    )
    return replace(document, text=document.text * times, elements=elements)


@brief
@given(document=documents(), sizes=settings_of_chunker())
def test_the_same_document_is_always_cut_the_same_way(minilm, document, sizes):
    first = chunk_document(document, minilm, sizes, max_tokens=256, overhead=2)
    assert first == chunk_document(document, minilm, sizes, max_tokens=256, overhead=2)


@brief
@given(document=documents(), sizes=settings_of_chunker())
def test_the_tokens_of_a_wordpiece_chunk_are_those_of_its_text(minilm, document, sizes):
    chunks = chunk_document(document, minilm, sizes, max_tokens=256, overhead=2)
    texts = [embedding_text("", chunk.text, minilm.word_limit) for chunk in chunks]
    assert [chunk.tokens for chunk in chunks] == (minilm.count_many(texts) if texts else [])


@brief
@given(document=documents(), sizes=settings_of_chunker())
def test_no_word_becomes_an_unknown_token_for_its_length(minilm, document, sizes):
    for chunk in chunk_document(document, minilm, sizes, max_tokens=256, overhead=2):
        encoding = minilm.library.encode(chunk.embedding_text, add_special_tokens=False)
        for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
            if token == "[UNK]":
                assert len(unicodedata.normalize("NFD", chunk.embedding_text[start:end])) <= minilm.word_limit


def tokens_inside(tokenizer, text, start, end):
    """Tokens of `text` in a span; the rest of a torn word is other tokens by itself than inside the word."""
    offsets = tokenizer.library.encode(text, add_special_tokens=False).offsets
    return sum(start <= first < end for first, _ in offsets)


@thorough
@given(document=prose_documents(), size=st.integers(16, 200), share=st.floats(0.05, 0.5))
def test_the_overlap_is_the_request_and_at_most_a_sentence_more(minilm, document, size, share):
    sizes = ChunkerSettings(size, int(size * share))
    sentences = sentence_spans(document.text)
    chunks = chunk_document(document, minilm, sizes, max_tokens=256, overhead=2)
    for chunk, following in pairwise(chunks):
        if following.start >= chunk.end:
            assert sizes.overlap == 0 or "\n" in document.text[chunk.end : following.start]
            continue
        assert tokens_inside(minilm, document.text, following.start, chunk.end) >= sizes.overlap
        next_sentence = min((start for start, _ in sentences if start > following.start), default=chunk.end)
        less = document.text[next_sentence : chunk.end]
        assert minilm.count(less) < sizes.overlap or sizes.overlap == 0


@thorough
@given(document=prose_documents(), size=st.integers(16, 200))
def test_without_overlap_chunks_share_nothing(minilm, document, size):
    chunks = chunk_document(document, minilm, ChunkerSettings(size, 0), max_tokens=256, overhead=2)
    assert all(chunk.end <= following.start for chunk, following in pairwise(chunks))


@thorough
@given(document=prose_documents(), sizes=settings_of_chunker())
def test_every_sentence_that_fits_is_whole_in_some_chunk(minilm, document, sizes):
    chunks = chunk_document(document, minilm, sizes, max_tokens=300, overhead=2)
    for start, end in sentence_spans(document.text):
        if minilm.count(document.text[start:end]) <= sizes.size and end - start <= sizes.max_characters:
            assert any(chunk.start <= start and end <= chunk.end for chunk in chunks)


@brief
@given(document=documents(), sizes=settings_of_chunker())
def test_every_heading_of_a_chunk_encloses_all_its_text(minilm, document, sizes):
    heading_elements = [each for each in document.elements if each.kind is ElementKind.HEADING]
    for chunk in chunk_document(document, minilm, sizes, max_tokens=256, overhead=2):
        inside = {
            path_at(heading_elements, place) for place in body_places(document, heading_elements, chunk)
        }
        for path in inside:
            assert path[: len(chunk.headings)] == chunk.headings


def path_at(headings: list[Element], place: int) -> tuple[str, ...]:
    path: list[Element] = []
    for heading in headings:
        if heading.start > place:
            break
        path = [each for each in path if each.level < heading.level] + [heading]
    return tuple(" ".join((each.title or "").split()) for each in path)


def body_places(document: Document, headings: list[Element], chunk: Chunk) -> list[int]:
    """Where the chunk has letters or digits outside of heading lines; marks may cling to a neighbour."""
    in_headings = [(each.start, each.end) for each in headings]
    return [
        place
        for place in range(chunk.start, chunk.end)
        if document.text[place].isascii()
        and document.text[place].isalnum()
        and not any(start <= place < end for start, end in in_headings)
    ]
