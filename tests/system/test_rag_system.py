from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deterministic_embedder import DeterministicEmbedder

import ragstack
from ragstack import Filter, RAGSystem
from ragstack.errors import (
    BudgetError,
    EmbedderMismatchError,
    ModelNotFoundError,
    StoreNotFoundError,
    UsageError,
)
from ragstack.records import FileState

HEAVY = ("torch", "transformers", "sentence_transformers", "faiss", "matplotlib", "numpy", "sqlalchemy")

CACHE = (
    "The KV cache of the small model takes 128 KiB for every token of the context. "
    "It grows with the number of layers and of key and value heads."
)
SOUP = "Leek soup needs three leeks, two potatoes and a litre of stock. Simmer it for twenty minutes."


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RAGSystem]:
    """A system with the real embedding model and two documents."""
    with RAGSystem.open(tmp_path_factory.mktemp("rag") / "store") as system:
        system.add_document(CACHE, name="cache.txt")
        system.add_document(SOUP, name="soup.txt", metadata={"course": "starter"})
        yield system


@pytest.fixture
def light(tmp_path: Path) -> Iterator[RAGSystem]:
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder()) as system:
        yield system


@pytest.mark.parametrize("module", ["ragstack", "ragstack.cli", "ragstack.records", "ragstack.config"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_sorted_complete_and_there() -> None:
    assert ragstack.__all__ == sorted(ragstack.__all__)
    for name in ragstack.__all__:
        assert getattr(ragstack, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ragstack.nonsense


def test_a_question_is_answered_from_the_document_that_answers_it(rag: RAGSystem) -> None:
    answer = rag.ask("How much memory does the KV cache take per token?")
    assert answer.found
    assert "128 KiB" in answer.text
    assert "[1]" in answer.text
    citation = answer.citations[0]
    assert citation.passage.path == "cache.txt"
    assert citation.quote == CACHE[citation.start : citation.end]


def test_a_question_that_nothing_answers_is_not_answered(rag: RAGSystem) -> None:
    answer = rag.ask("Which team won the football championship in Brazil?")
    assert not answer.found
    assert answer.citations == ()


def test_a_hit_unpacks_as_text_and_score(rag: RAGSystem) -> None:
    (text, score), *_ = rag.retrieve("soup with potatoes", top_k=2)
    assert text == SOUP
    assert 0 < score <= 1


def test_a_hit_carries_its_evidence(rag: RAGSystem) -> None:
    hit = rag.retrieve("soup with potatoes", top_k=1)[0]
    assert (hit.dense_rank, hit.lexical_rank) == (1, 1)
    assert hit.dense_score is not None
    assert 0.2 < hit.dense_score <= 1
    assert hit.lexical_score is not None
    assert hit.lexical_score > 0


def test_a_filter_limits_what_is_answered_from(rag: RAGSystem) -> None:
    paths = {hit.chunk.path for hit in rag.retrieve("soup", 5, where=Filter(paths=("cache*",)))}
    assert paths == {"cache.txt"}
    paths = {
        hit.chunk.path for hit in rag.retrieve("cache", 5, where=Filter(metadata=(("course", "starter"),)))
    }
    assert paths == {"soup.txt"}


def test_generating_with_retrieval_gives_text_of_bounded_length(rag: RAGSystem) -> None:
    question = "How much memory does the KV cache take per token?"
    assert "128 KiB" in rag.generate_with_retrieval(question)
    assert 0 < len(rag.generate_with_retrieval(question, max_length=60)) <= 60


def test_the_ledger_adds_up(rag: RAGSystem) -> None:
    answer = rag.ask("How is leek soup made?", window=120, reserve=20)
    ledger = answer.ledger
    charges = sum(charge.tokens for charge in ledger.charges)
    assert ledger.passage_budget == ledger.binding.tokens - charges == 100 - charges
    assert ledger.passage_tokens <= ledger.passage_budget
    assert (
        sum(decision.marginal_tokens for decision in ledger.decisions if decision.kept)
        == ledger.passage_tokens
    )


def test_a_window_too_small_for_the_question_is_an_error_that_says_so(rag: RAGSystem) -> None:
    with pytest.raises(BudgetError, match="window"):
        rag.ask("How is leek soup made?", window=3)


def test_a_temporary_system_is_gone_after_closing() -> None:
    rag = RAGSystem(embedder=DeterministicEmbedder())
    path = rag.path
    assert path.is_dir()
    rag.close()
    assert not path.exists()


def test_d_model_must_be_the_dimension_of_the_embedder() -> None:
    with RAGSystem(64, embedder=DeterministicEmbedder()) as rag:
        assert rag.embedder.dimension == 64
    with pytest.raises(UsageError, match="d_model is 512"):
        RAGSystem(512, embedder=DeterministicEmbedder())


def test_opening_without_creating_needs_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        RAGSystem.open(tmp_path / "none", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_made_with_the_first_change_only(tmp_path: Path) -> None:
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder()) as system:
        assert system.generation is None
        assert not (tmp_path / "store").exists()
        system.add_document("A first text.", name="first")
        assert (tmp_path / "store").is_dir()


def test_a_dry_run_without_a_store_tells_its_plan_and_makes_none(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("A text.")
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder()) as system:
        report = system.ingest(tmp_path / "notes", dry_run=True)
    assert [(each.path, each.state) for each in report.outcomes] == [("a.txt", FileState.NEW)]
    assert report.dry_run
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_model_that_is_not_found_leaves_no_empty_store_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A text.")
    with RAGSystem.open(tmp_path / "store", model="nobody/has-this-model", offline=True) as system:
        for attempt in (lambda: system.ingest(tmp_path / "a.txt"), lambda: system.add_document("A text.")):
            with pytest.raises(ModelNotFoundError):
                attempt()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_settings_that_cannot_be_honoured_leave_no_empty_store_behind(tmp_path: Path) -> None:
    with (
        RAGSystem.open(
            tmp_path / "store", embedder=DeterministicEmbedder(), chunk_size=40, overlap=30
        ) as system,
        pytest.raises(UsageError, match="overlap"),
    ):
        system.add_document("A text.")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_store_answers_that_there_is_nothing(light: RAGSystem) -> None:
    assert light.retrieve("anything") == []
    assert not light.ask("anything").found


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(light: RAGSystem, question: str) -> None:
    with pytest.raises(UsageError, match="question is empty"):
        light.ask(question)


def test_a_question_longer_than_the_embedder_reads_is_answered_from_all_of_it(rag: RAGSystem) -> None:
    filler = "The committee met again and talked about the weather, the garden and the neighbours. " * 60
    question = filler + "How many potatoes does leek soup need?"
    assert rag.embedder.tokenizer.count(question) > rag.embedder.max_tokens
    assert "cache.txt" in {hit.chunk.path for hit in rag.retrieve(question, 5)}
    assert rag.retrieve("potatoes leek soup " * 200, 1)[0].text == SOUP


def test_a_text_by_name_replaces_what_had_the_name(light: RAGSystem) -> None:
    first = light.add_document("zebra stripes", name="animal")
    assert light.add_document("walrus teeth", name="animal") == first
    assert [hit.text for hit in light.retrieve("zebra", 5)] == ["walrus teeth"]


def test_the_same_text_without_a_name_is_stored_once(light: RAGSystem) -> None:
    assert light.add_document("zebra stripes") == light.add_document("zebra stripes")
    assert light.add_document("zebra stripes again") != light.add_document("zebra stripes")
    assert len(light.retrieve("zebra", 5)) == 2


def test_an_empty_text_is_refused(light: RAGSystem) -> None:
    with pytest.raises(UsageError, match="empty"):
        light.add_document(" \n ")


def test_another_embedder_is_refused_for_reading_and_for_writing(tmp_path: Path) -> None:
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder()) as rag:
        rag.add_document("zebra")
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder(seed=7)) as rag:
        with pytest.raises(EmbedderMismatchError) as raised:
            rag.add_document("walrus")
        assert raised.value.hint
        with pytest.raises(EmbedderMismatchError):
            rag.retrieve("zebra")


def test_other_chunk_sizes_are_refused_once_there_are_chunks(tmp_path: Path) -> None:
    embedder = DeterministicEmbedder()
    with RAGSystem.open(tmp_path / "store", embedder=embedder, chunk_size=32, overlap=8) as rag:
        rag.add_document("zebra")
    with (
        RAGSystem.open(tmp_path / "store", embedder=embedder, chunk_size=64) as rag,
        pytest.raises(EmbedderMismatchError, match="chunk size of 32"),
    ):
        rag.add_document("walrus")
    with RAGSystem.open(tmp_path / "store", embedder=embedder) as rag:
        rag.add_document("walrus")
        assert rag.generation is not None
        assert (rag.generation.settings.size, rag.generation.settings.overlap) == (32, 8)


def test_a_source_can_be_relocated_and_removed(light: RAGSystem, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_text("zebra")
    light.ingest(folder)
    folder.rename(tmp_path / "moved")
    light.relocate_source(folder, tmp_path / "moved")
    report = light.ingest(tmp_path / "moved")
    assert (report.unchanged, report.embedded) == (1, 0)
    assert light.remove_source(tmp_path / "moved") == 1
    assert light.retrieve("zebra") == []
