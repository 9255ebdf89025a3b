"""A cross-encoder by name or folder: what it scores, what it says of itself, and what it refuses."""

from __future__ import annotations

import pytest
from deterministic_embedder import DeterministicEmbedder
from tiny_models import save_tiny_cross_encoder

from ragstack.embedding.cross_encoder import CrossEncoderReranker
from ragstack.errors import EmbeddingError, ModelNotFoundError
from ragstack.system import RAGSystem

QUESTION = "when does the tide turn?"
TEXTS = ["The tide turns at six.", "Tomatoes want sun.", "Ferries wait for the tide."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models") / "cross"
    save_tiny_cross_encoder(made)
    return made


@pytest.fixture(scope="module")
def reranker(folder):
    return CrossEncoderReranker(str(folder), offline=True)


def test_each_text_has_a_score_of_its_own_whatever_stands_beside_it(reranker):
    together = reranker.scores(QUESTION, TEXTS)
    assert len(set(together)) == 3
    alone = [reranker.scores(QUESTION, [text])[0] for text in TEXTS]
    assert alone == pytest.approx(together, abs=1e-5)
    assert reranker.scores("what do tomatoes want?", TEXTS) != pytest.approx(together, abs=1e-5)


def test_a_text_longer_than_the_window_is_cut_and_not_refused(reranker):
    assert len(reranker.scores(QUESTION, ["the tide turns " * 200])) == 1


def test_the_note_tells_memory_and_time(reranker, folder):
    reranker.scores(QUESTION, TEXTS)
    size = (folder / "model.safetensors").stat().st_size
    assert f"{size / 1e6:.1f} MB of weights" in reranker.note
    assert reranker.note.endswith("s for 3 passages")


def test_a_folder_without_a_model_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(ModelNotFoundError, match="holds no cross-encoder"):
        CrossEncoderReranker(str(tmp_path))


def test_a_classifier_is_refused(tmp_path):
    save_tiny_cross_encoder(tmp_path / "classes", labels=3)
    with pytest.raises(EmbeddingError, match="sorts into 3 classes"):
        CrossEncoderReranker(str(tmp_path / "classes"), offline=True).scores(QUESTION, TEXTS)


def test_a_damaged_model_is_an_error_of_ours(tmp_path):
    save_tiny_cross_encoder(tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EmbeddingError, match="cannot open the cross-encoder"):
        CrossEncoderReranker(str(tmp_path / "damaged"), offline=True).scores(QUESTION, TEXTS)


def test_a_system_asks_it_for_the_order_and_says_so_in_the_ledger(tmp_path, folder, reranker):
    embedder = DeterministicEmbedder(dimension=64)
    with RAGSystem.open(tmp_path / "store", embedder=embedder, reranker=str(folder), offline=True) as system:
        for number, text in enumerate(TEXTS):
            system.add_document(text, name=f"{number}.md")
        hits = system.retrieve(QUESTION, 3)
        answer = system.ask(QUESTION, abstain=False)
    marks = reranker.scores(QUESTION, [hit.chunk.text for hit in hits])
    assert marks == sorted(marks, reverse=True)
    assert any("reranked by" in note for note in answer.ledger.notes)
