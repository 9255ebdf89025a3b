"""A chunk's neighbours are those of its vector, and its duplicates those of its text."""

from __future__ import annotations

import numpy as np
import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack import RAGSystem
from ragstack.inspection.neighbours import neighbourhood
from ragstack.inspection.overview import document, documents

ABOUT = "The {part} of the {name} chamber is cleaned every {days} days with warm water and vinegar. "


def _text(name: str) -> str:
    parts = ("pump", "filter", "door", "probe")
    return "".join(ABOUT.format(part=parts[at % 4], name=name, days=at + 2) for at in range(40))


@pytest.fixture
def system():
    with RAGSystem(embedder=DeterministicEmbedder()) as made:
        made.add_document(_text("north"), name="north.md")
        made.add_document(_text("north").replace(". ", ".\n"), name="copy.md")
        made.add_document(_text("south"), name="south.md")
        yield made


def _chunks(system):
    return {info.path: document(system, info.document_id).chunks for info in documents(system)}


def test_neighbours_are_the_largest_cosines_of_the_stored_vectors(system):
    chunks = _chunks(system)
    asked = chunks["south.md"][1]
    every = [chunk for listed in chunks.values() for chunk in listed]
    with system.store.read() as snapshot:
        vectors = snapshot.vectors([chunk.chunk_id for chunk in every])
    cosines = sorted(
        (
            float(vectors[chunk.chunk_id] @ vectors[asked.chunk_id])
            for chunk in every
            if chunk.chunk_id != asked.chunk_id
        ),
        reverse=True,
    )
    found = neighbourhood(system, asked.chunk_id, 4).nearest
    assert np.allclose([each.cosine for each in found], cosines[:4], atol=1e-6)


def test_the_same_words_are_duplicates_wherever_lines_break(system):
    chunks = _chunks(system)
    asked = chunks["north.md"][0]
    near = neighbourhood(system, asked.chunk_id)
    assert [each.chunk.path for each in near.duplicates] == ["copy.md"]
    assert near.duplicates[0].chunk.text.split() == asked.text.split()
    assert asked.chunk_id not in {each.chunk.chunk_id for each in near.nearest}


def test_a_chunk_that_is_gone_has_no_neighbours(system):
    assert neighbourhood(system, 10**6).nearest == ()


def test_the_overview_counts_text_that_stands_twice_once(system):
    from ragstack.inspection.overview import overview

    before = overview(system)
    assert (before.characters, before.repeated_chunks) == (before.distinct_characters, 0)
    system.add_document(_text("south"), name="again.md", title="south.md")
    after = overview(system)
    assert after.distinct_characters == before.distinct_characters
    assert after.characters == before.characters + len(_text("south"))
