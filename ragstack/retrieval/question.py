"""The vector of a question, however long it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragstack.records import ChunkerSettings, Document, Embedder

if TYPE_CHECKING:
    from ragstack.records import FloatArray


def question_vector(embedder: Embedder, question: str) -> FloatArray:
    """The embedded question, shape (dimension,), L2-normalised.

    A question longer than the embedder reads (a pasted letter, say) is cut into windows of half that length,
    and its vector is the direction of the sum of theirs: no part of it is left out in silence.
    """
    half = embedder.max_tokens // 2
    if len(question) <= half or embedder.tokenizer.count(question) <= half:
        return embedder.embed_query(question)
    from ragstack.chunking.windows import chunk_document

    document = Document(text=question, media_type="text/plain", reader="question", reader_version=1)
    chunks = chunk_document(
        document,
        embedder.tokenizer,
        ChunkerSettings(size=half, overlap=0),
        max_tokens=embedder.max_tokens,
        overhead=embedder.document_overhead,
    )
    total = sum(
        (embedder.embed_query(chunk.text) for chunk in chunks[1:]), embedder.embed_query(chunks[0].text)
    )
    length = float((total @ total) ** 0.5)
    return total / length if length > 0 else total
