"""Retrieval through a real store, with an embedder that counts words."""

from __future__ import annotations

import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack.records import Filter
from ragstack.system import RAGSystem

TEXTS = {
    "tides.md": "The tide turns at six. Ferries wait for the tide before they leave the harbour.",
    "codes.md": "Error E1042 means that the probe drifted. Error E1043 means that the door is open.",
    "release.md": "Release 2.3.1 renames reset_device_state and removes nothing.",
    "copy.md": "The tide turns at six. Ferries wait for the tide before they leave the harbour.",
    "garden.md": "Tomatoes want sun and water. Slugs want tomatoes.",
}


@pytest.fixture
def system(tmp_path):
    embedder = DeterministicEmbedder(dimension=256)
    with RAGSystem.open(tmp_path / "store", embedder=embedder, chunk_size=40, overlap=0) as opened:
        for name, text in TEXTS.items():
            opened.add_document(text, name=name)
        yield opened


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ("error E1042", "codes.md"),
        ("what does reset_device_state do", "release.md"),
        ("2.3.1", "release.md"),
        ("slugs want what", "garden.md"),
    ],
)
def test_the_right_document_comes_first(system, question, path):
    assert system.retrieve(question, 3)[0].chunk.path == path


def test_every_hit_says_what_its_score_is_made_of(system):
    for hit in system.retrieve("when does the tide turn?", 5):
        assert hit.shares is not None
        assert hit.score == pytest.approx(hit.shares.total)
        assert hit.dense_score is not None
        assert (hit.lexical_score > 0) == bool(hit.matched)
    assert system.retrieve("when does the tide turn?", 1)[0].matched == ("tide", "turn")


def test_the_first_hits_do_not_depend_on_how_many_are_asked_for(system):
    everything = system.retrieve("tide and tomatoes", 5)
    for limit in range(1, 5):
        assert system.retrieve("tide and tomatoes", limit) == everything[:limit]


def test_the_same_text_in_two_files_is_packed_once_and_both_are_named(system):
    answer = system.ask("when does the tide turn for the ferries?", abstain=False)
    holding = [passage for passage in answer.passages if "tide turns at six" in passage.text]
    assert len(holding) == 1
    named = " ".join([holding[0].path, *holding[0].also_in])
    assert "tides.md" in named
    assert "copy.md" in named


def test_a_question_that_matches_no_word_is_answered_by_meaning_alone(system):
    hits = system.retrieve("xylophone", 3)
    assert len(hits) == 3
    assert all(hit.matched == () and hit.shares.words == 0 for hit in hits)


def test_filters_hold_for_both_searches(system):
    where = Filter(documents=(system.retrieve("slugs", 1)[0].chunk.document_id,))
    assert {hit.chunk.path for hit in system.retrieve("tide error slugs", 5, where=where)} == {"garden.md"}


def test_a_pasted_letter_is_a_question_too(system):
    letter = " ".join(TEXTS.values()) * 40
    assert system.retrieve(letter, 2)
