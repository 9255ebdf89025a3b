"""Chunks beside the best hits, in a real store, with an embedder that counts words."""

from __future__ import annotations

import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack.retrieval.neighbours import (
    LARGEST_SECTION,
    LENDERS,
    LENT,
    LENT_TO_SECTION,
    with_neighbours,
)
from ragstack.system import RAGSystem

SENTENCES = 30


def _sentence(number: int) -> str:
    return f"Sentence {number} speaks of matter{number} and of nothing else in so many words as it takes."


@pytest.fixture
def system(tmp_path):
    embedder = DeterministicEmbedder(dimension=512)
    with RAGSystem.open(tmp_path / "store", embedder=embedder, chunk_size=24, overlap=0) as opened:
        opened.add_document("\n\n".join(map(_sentence, range(SENTENCES))), name="long.md")
        opened.add_document("Matter15 is spoken of here, too.", name="short.md")
        yield opened


def test_the_chunks_beside_the_best_hits_come_after_the_hits(system):
    hits = system.retrieve("matter15", 2)
    with system.store.read() as snapshot:
        widened = with_neighbours(snapshot, hits)
    assert [hit.chunk.chunk_id for hit in widened[: len(hits)]] == [hit.chunk.chunk_id for hit in hits]
    best = next(hit for hit in hits if hit.chunk.path == "long.md")
    new = widened[len(hits) :]
    assert {hit.chunk.position for hit in new} == {
        best.chunk.position + distance for distance in range(-len(LENT), len(LENT) + 1) if distance
    }
    for hit in new:
        distance = abs(hit.chunk.position - best.chunk.position)
        assert hit.lent == pytest.approx(LENT[distance - 1] * best.score)
        assert (hit.score, hit.beside) == (0.0, best.chunk.chunk_id)
    assert [hit.worth for hit in new] == sorted((hit.worth for hit in new), reverse=True)


def test_a_hit_keeps_its_score_and_is_lent_a_higher_one(system):
    hits = system.retrieve("matter15", 20)
    with system.store.read() as snapshot:
        widened = with_neighbours(snapshot, hits)
    assert [hit.score for hit in widened[: len(hits)]] == [hit.score for hit in hits]
    lent = [hit for hit in widened if hit.beside is not None]
    assert lent
    assert all(hit.worth == hit.lent > hit.score for hit in lent)
    lenders = {hit.chunk.chunk_id for hit in hits[:LENDERS]}
    assert {hit.beside for hit in lent} <= lenders


def test_the_section_and_the_beginnings_of_those_around_it_are_near(tmp_path):
    """A hit at the end of a long section: its beginning and that of the chapter are far away in chunks."""
    chapter = "# Matters\n\nThis chapter is about all matters that there are and says where each is found."
    other = "## Others\n\n" + "\n\n".join(_sentence(number) for number in range(100, 110))
    long = "## Numbered\n\n" + "\n\n".join(map(_sentence, range(SENTENCES)))
    embedder = DeterministicEmbedder(dimension=512)
    with RAGSystem.open(tmp_path / "store", embedder=embedder, chunk_size=24, overlap=0) as system:
        system.ingest_bytes(f"{chapter}\n\n{other}\n\n{long}\n".encode(), name="long.md")
        (best,) = system.retrieve("matter25", 1)
        assert best.chunk.headings == ("Matters", "Numbered")
        with system.store.read() as snapshot:
            near = with_neighbours(snapshot, [best])[1:]
    texts = {hit.text: hit for hit in near}
    assert {round(hit.lent / best.score, 6) for hit in near} == {*LENT, LENT_TO_SECTION}
    assert any(text.startswith("# Matters") for text in texts)
    assert any(text.startswith("## Numbered") for text in texts)
    assert not any("Others" in hit.chunk.headings for hit in near)
    in_section = [hit for hit in near if hit.chunk.headings == best.chunk.headings]
    assert 2 * len(LENT) < len(in_section) <= LARGEST_SECTION


def test_nothing_is_beside_nothing(system):
    with system.store.read() as snapshot:
        assert with_neighbours(snapshot, []) == []


def test_only_a_prompt_for_a_model_has_them_and_says_so(system):
    copied = system.ask("matter15", abstain=False)
    assert all(decision.beside is None for decision in copied.ledger.decisions)
    few = system.ask("matter15", abstain=False, reader="llama-3.2-1b", top_k=3)
    assert len(few.ledger.decisions) == 3
    sized = system.ask("matter15", abstain=False, reader="llama-3.2-1b", window=4_096)
    assert any(decision.beside is not None for decision in sized.ledger.decisions)
